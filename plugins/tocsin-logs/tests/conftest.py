"""What the tests of this package share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tocsin.capabilities import LinePattern, SourceBatch, SourceContext
from tocsin.models import IncidentEvent
from tocsin_logs import LogsParams
from tocsin_logs.cursors import load
from tocsin_logs.following import Following
from tocsin_logs.patterns import line_patterns

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
ANY_LINE = {"regex": "^(?P<message>.*)$", "event_type": "line"}


@dataclass
class SteppingClock:
    """A clock that moves only while somebody sleeps."""

    instant: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.instant += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Driver:
    """Follows files as the source does, a step at a time, and keeps the cursor."""

    def __init__(self, directory: Path, cursor: str | None = None, **params: Any) -> None:
        settings = {"files": ["app.log"], "pattern": ANY_LINE, "start": "beginning", **params}
        self.params = LogsParams.model_validate(settings)
        self.directory = directory
        self.cursor = cursor
        self.now = NOW
        self.batches: list[SourceBatch] = []
        self.messages: list[str] = []
        self.following = Following(self.params, directory, load(cursor))

    @property
    def events(self) -> list[IncidentEvent]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def skipped(self) -> int:
        return sum(batch.skipped for batch in self.batches)

    def step(self, *, seconds: float = 1.0, keep: bool = True) -> bool:
        """Make one step; unless it is kept, it is as if the process had ended before storing it."""
        self.now += timedelta(seconds=seconds)
        step = self.following.step(self.now)
        self.messages.extend(step.messages)
        if keep and step.batch is not None:
            self.batches.append(step.batch)
            self.cursor = step.batch.cursor
        return step.more

    def poll(self, *, seconds: float = 1.0) -> list[str]:
        """Read everything that is there, and give the messages of what is new."""
        before = len(self.events)
        while self.step(seconds=seconds):
            seconds = 0.0
        return [event.message for event in self.events[before:]]

    def settle(self) -> list[str]:
        """Read everything, with enough time for files that were moved away."""
        return [*self.poll(), *self.poll(seconds=60), *self.poll()]

    def restart(self, **params: Any) -> None:
        """End and start again from the cursor that was kept last."""
        self.following.close()
        if params:
            self.params = LogsParams.model_validate({**self.params.model_dump(), **params})
        self.following = Following(self.params, self.directory, load(self.cursor))


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def context(clock: SteppingClock, reports: list[str], tmp_path: Path) -> SourceContext:
    return SourceContext(clock=clock, directory=tmp_path, report=reports.append)


@pytest.fixture(scope="session")
def driver_class() -> type[Driver]:
    return Driver


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Give what makes a driver in the temporary folder."""
    drivers: list[Driver] = []

    def make(cursor: str | None = None, **params: Any) -> Driver:
        drivers.append(Driver(tmp_path, cursor, **params))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.following.close()


@pytest.fixture(scope="session")
def ready() -> Callable[..., LinePattern]:
    """Give what makes a ready pattern."""

    def make(name: str, *, year: int | None = None, timezone: Any = UTC) -> LinePattern:
        return line_patterns()[name](year=year, timezone=timezone)

    return make
