"""What the tests of this package share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.capabilities import SourceContext


@dataclass
class SteppingClock:
    """A clock that moves only while somebody sleeps."""

    instant: datetime = datetime(2025, 3, 1, 12, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.instant += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def context(clock: SteppingClock, reports: list[str], tmp_path: Path) -> SourceContext:
    return SourceContext(clock=clock, directory=tmp_path, report=reports.append)
