"""The source `host`."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable

from tocsin.capabilities import SourceBatch, SourceContext
from tocsin_host.events import Judge
from tocsin_host.params import HostParams
from tocsin_host.readings import Reading, name_of, read

_LONGEST_NAME = 256


class HostSource:
    """Reads the machine once per interval and gives what is worth an event."""

    def __init__(
        self,
        params: HostParams,
        context: SourceContext,
        *,
        take: Callable[[], Reading] | None = None,
    ) -> None:
        """Prepare the source.

        Args:
            params: what to watch.
            context: the clock and where to report to.
            take: replaces the reading of the machine.
        """
        self._params = params
        self._context = context
        self._take = take or (
            lambda: read(mounts=params.mounts, ignore_mounts=params.ignore_mounts)
        )
        host = params.host or socket.gethostname() or "localhost"
        self._judge = Judge(host[:_LONGEST_NAME], params, name_of)
        self._known: frozenset[str] = frozenset()

    async def batches(self, cursor: str | None) -> AsyncGenerator[SourceBatch, None]:  # noqa: ARG002
        """Give one batch per interval. There is nothing to catch up on: the cursor is not used."""
        while True:
            reading = await self._context.run(self._take)
            self._report(reading)
            # Judging names the parents of zombies, which asks the system again.
            now = self._context.clock.now()
            events = await self._context.run(self._judge.events, reading, now)
            if events:
                yield SourceBatch(events)
            await self._context.clock.sleep(self._params.interval)

    def _report(self, reading: Reading) -> None:
        """Tell each trouble once, and again only after it was gone in between."""
        for trouble in reading.troubles:
            if trouble not in self._known:
                self._context.report(trouble)
        self._known = frozenset(reading.troubles)
