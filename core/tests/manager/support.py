"""What the tests of the manager share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tocsin import Incident, IncidentEvent, IncidentManager
from tocsin.capabilities import NotifierPlugin
from tocsin.hookspecs import hookimpl
from tocsin.models import Notice
from tocsin.store.database import database_url, open_database
from tocsin.store.queries import IncidentFilter, get_incident, list_incidents
from tocsin.testing import FakeClock

START = datetime(2026, 1, 1, tzinfo=UTC)
Spec = Mapping[str, Any]
_numbers = itertools.count()


def write_rules(folder: Path, *specs: Spec) -> str:
    """Write a ruleset file; what the rules leave out is filled in."""
    rules = [
        {
            "id": f"r{number}",
            "title": "trouble",
            "incident_type": "error_burst",
            "severity": "low",
            "when": {"event_type": "fail"},
            **spec,
        }
        for number, spec in enumerate(specs)
    ]
    path = folder / f"rules{next(_numbers)}.yaml"
    path.write_text(json.dumps({"ruleset": "tests", "rules": rules}))
    return str(path)


def settings(
    folder: Path,
    *specs: Spec,
    database: str | None = None,
    response: Mapping[str, Any] | None = None,
    notifications: Mapping[str, Any] | None = None,
    top: Mapping[str, Any] | None = None,
    **detection: Any,
) -> dict[str, Any]:
    """Make settings: a rule that each event of type `fail` satisfies, unless others are given."""
    return {
        "database": database or str(folder / "tocsin.db"),
        "rulesets": [write_rules(folder, *(specs or ({},)))],
        "incident_response": {
            # In process: a process for each test would take longer than the test.
            "detection": {"isolation": "inline", **detection},
            "response": dict(response or {}),
            "notifications": dict(notifications or {}),
        },
        **(top or {}),
    }


def event(name: object, at: float = 0, **fields: Any) -> IncidentEvent:
    """Make an event so many seconds after the start."""
    values = {
        "event_id": str(name),
        "timestamp": START + timedelta(seconds=at),
        "event_type": "fail",
        "source": "api",
        **fields,
    }
    return IncidentEvent(**values)


def clock_at(seconds: float) -> FakeClock:
    """Make a clock that stands so many seconds after the start."""
    return FakeClock(START + timedelta(seconds=seconds))


@contextlib.asynccontextmanager
async def running(config: Any, **options: Any) -> AsyncIterator[IncidentManager]:
    """Run a manager on a clock that stands an hour after the start."""
    options.setdefault("clock", clock_at(3600))
    async with IncidentManager(config, **options) as manager:
        yield manager


async def eventually(holds: Callable[[], Any], *, seconds: float = 10) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it has not come true"
        await asyncio.sleep(0.005)


class Drive:
    """Moves a clock on until something is done, so that what sleeps on the clock wakes."""

    def __init__(self, clock: FakeClock, step: float) -> None:
        self._clock = clock
        self._step = step

    async def until_done(self, work: Any, *, seconds: float = 10) -> Any:
        task = asyncio.ensure_future(work)
        until = time.monotonic() + seconds
        while not task.done():
            assert time.monotonic() < until, "it is not done"
            await asyncio.sleep(0.01)
            if not task.done():
                await self._clock.advance(self._step)
        return await task


async def stored(url: str, stream: str | None = None) -> list[Incident]:
    """Read all incidents whole, oldest first."""
    database = await open_database(database_url(url))
    try:
        listed = await list_incidents(database, IncidentFilter(stream=stream))
        whole = [await get_incident(database, incident.id) for incident in reversed(listed)]
    finally:
        await database.close()
    return [incident for incident in whole if incident is not None]


def result_of(incidents: Iterable[Incident]) -> list[dict[str, Any]]:
    """Give incidents as data, in an order that does not depend on how they came about."""
    return sorted((incident.to_dict() for incident in incidents), key=lambda one: one["id"])


class Bell:
    """A plugin with the notifier `bell`, which keeps what it is told."""

    def __init__(self, send: Callable[[Notice], Any] | None = None) -> None:
        self.notices: list[Notice] = []
        self._send = send

    @hookimpl
    def tocsin_notifiers(self) -> Iterable[NotifierPlugin]:
        yield NotifierPlugin(name="bell", summary="Keeps notices.", factory=lambda _params: self)

    async def send(self, notice: Notice) -> None:
        self.notices.append(notice)
        if self._send is not None:
            result = self._send(notice)
            if asyncio.iscoroutine(result):
                await result
