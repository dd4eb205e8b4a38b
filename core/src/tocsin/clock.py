"""Time as a thing that is handed in, so that nothing which decides reads the wall clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
"""Microseconds in a second: instants and spans inside the engine are whole microseconds."""
_FIRST_EXACT, _LAST_EXACT = 0.0, 2.0**32


class Clock(Protocol):
    """What tells the time to the parts that touch the world."""

    def now(self) -> datetime:
        """Give the current instant, timezone-aware."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of this clock."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Give the current instant in UTC."""
        return datetime.fromtimestamp(time.time(), tz=UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(seconds)


def to_micros(instant: datetime) -> int:
    """Turn a timezone-aware instant into whole microseconds since 1970."""
    seconds = instant.timestamp()
    # A float holds the microseconds of these years exactly, and is several times faster.
    if _FIRST_EXACT < seconds < _LAST_EXACT:
        return round(seconds * SECOND)
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Turn whole microseconds since 1970 into an instant in UTC.

    Raises:
        OverflowError: the instant lies outside the years 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=micros)


def isoformat(instant: datetime) -> str:
    """Write an instant in UTC as ISO 8601 with a `Z`: one spelling for one instant."""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text}Z"
