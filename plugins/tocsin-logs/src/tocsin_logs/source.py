"""The source `logs`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from tocsin.capabilities import SourceBatch, SourceContext
from tocsin_logs.cursors import Cursor, load
from tocsin_logs.following import Following
from tocsin_logs.params import LogsParams


class LogsSource:
    """Follows files and gives the events of their lines, each exactly once for each cursor."""

    def __init__(self, params: LogsParams, context: SourceContext) -> None:
        self._params = params
        self._context = context

    async def batches(self, cursor: str | None) -> AsyncGenerator[SourceBatch, None]:
        """Give what is added to the files, starting after the cursor."""
        clock, report = self._context.clock, self._context.report
        following = Following(self._params, self._context.directory, self._start(cursor))
        try:
            while True:
                step = await self._context.run(following.step, clock.now())
                for message in step.messages:
                    report(message)
                if step.batch is not None:
                    yield step.batch
                if not step.more:
                    await clock.sleep(self._params.poll)
        finally:
            following.close()

    def _start(self, cursor: str | None) -> Cursor | None:
        try:
            return load(cursor)
        except ValueError as error:
            self._context.report(f"{error}: starting anew")
            return None
