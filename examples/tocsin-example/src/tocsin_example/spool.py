"""The source `spool`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import Field

from tocsin import IncidentEvent, IncidentSeverity
from tocsin.capabilities import Params, SourceBatch, SourceContext
from tocsin.durations import Seconds


class SpoolParams(Params):
    """What to watch."""

    folder: Path
    """The folder; a relative one starts at the settings file."""
    limit: int = Field(default=100, ge=1)
    """How many files are too many."""
    interval: Seconds = Field(default=10.0, gt=0)
    """The time between two looks."""


def count_files(folder: Path) -> int:
    """Count the files in a folder."""
    return sum(entry.is_file() for entry in folder.iterdir())


class SpoolSource:
    """Gives an event for each look at which the folder holds too many files."""

    def __init__(self, params: SpoolParams, context: SourceContext) -> None:
        self._params = params
        self._context = context
        self._folder = context.directory / params.folder

    async def batches(self, cursor: str | None) -> AsyncIterator[SourceBatch]:  # noqa: ARG002
        """Look again and again. There is nothing to catch up on: the cursor is not used."""
        clock = self._context.clock
        while True:
            try:
                found = await asyncio.to_thread(count_files, self._folder)
            except OSError as error:
                self._context.report(f"{self._folder} cannot be read: {error.strerror}")
            else:
                if found > self._params.limit:
                    yield SourceBatch([self._event(found)])
            await clock.sleep(self._params.interval)

    def _event(self, found: int) -> IncidentEvent:
        now = self._context.clock.now()
        name = str(self._params.folder)
        return IncidentEvent(
            event_id=f"spool:{name}:{now.isoformat()}",
            timestamp=now,
            event_type="spool_full",
            source=name,
            severity=IncidentSeverity.MEDIUM,
            message=f"{found} files in {name}",
            metadata={"files": found, "limit": self._params.limit},
        )
