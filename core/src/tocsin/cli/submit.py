"""Submits events from the command line, whether or not a daemon evaluates the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import URL

from tocsin.assembly import open_journal
from tocsin.cli.options import database_of, existing_database
from tocsin.clock import SystemClock, to_micros
from tocsin.errors import StoreError
from tocsin.manager import IncidentManager
from tocsin.models import Event, Incident, IncidentEvent
from tocsin.models.wire import as_model
from tocsin.settings import Loaded
from tocsin.store.database import Database, open_database
from tocsin.store.journal import check_sizes
from tocsin.store.ownership import OwnedElsewhereError
from tocsin.store.queries import (
    IncidentFilter,
    evaluated_position,
    list_incidents,
    quarantined_among,
)

_BATCH = 500
_WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.2


@dataclass(slots=True)
class Submitted:
    """What became of submitted events."""

    accepted: int = 0
    duplicates: int = 0
    incidents: list[Incident] = field(default_factory=list)
    """The incidents that they opened."""
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    """The events that are kept aside instead of being judged, each with why."""
    evaluated: bool = True
    """False where the daemon that evaluates the stream has not got to them in time."""


async def submit(
    loaded: Loaded, events: Sequence[Event], advance: Callable[[float], None]
) -> Submitted:
    """Submit events and wait for what comes of them.

    Where a daemon evaluates the stream, the events go into its journal; otherwise they are
    evaluated here.

    Raises:
        EventError: one of them is too large; none is stored.
        WrongError: the settings name no possible database.
        TocsinError: they could not be stored.
    """
    url = database_of(loaded)
    for batch in _batches(events):
        check_sizes(batch, loaded.settings.incident_response.detection.max_event_bytes)
    try:
        result = await _directly(loaded, events, advance)
    except OwnedElsewhereError:
        result = await _through_journal(loaded, url, events, advance)
    ids = [event.event_id for event in events]
    async with existing_database(loaded) as database:
        result.quarantined = await quarantined_among(database, loaded.settings.stream, ids)
    return result


def _batches(events: Sequence[Event]) -> Iterator[list[IncidentEvent]]:
    for start in range(0, len(events), _BATCH):
        yield [as_model(event) for event in events[start : start + _BATCH]]


async def _directly(
    loaded: Loaded, events: Sequence[Event], advance: Callable[[float], None]
) -> Submitted:
    result = Submitted()
    async with IncidentManager(loaded, run_sources=False) as manager:
        for batch in _batches(events):
            new = await manager.submit_events(batch)
            result.accepted += new
            result.duplicates += len(batch) - new
            advance(len(batch))
        result.incidents = await manager.check_for_incidents()
    return result


async def _through_journal(
    loaded: Loaded, url: URL, events: Sequence[Event], advance: Callable[[float], None]
) -> Submitted:
    result = Submitted()
    database = await open_database(url)
    try:
        before = {incident.id for incident in await list_incidents(database, IncidentFilter())}
        journal = await open_journal(database, loaded.settings)
        for batch in _batches(events):
            now = to_micros(SystemClock().now())
            done = await journal.append(batch, accepted_at=now)
            result.accepted += len(batch) - done.duplicates
            result.duplicates += done.duplicates
            advance(len(batch))
        result.evaluated = await _evaluated(database, loaded.settings.stream, journal.position)
        found = await list_incidents(database, IncidentFilter())
        result.incidents = [incident for incident in found if incident.id not in before]
    finally:
        await database.close()
    return result


async def _evaluated(database: Database, stream: str, position: int) -> bool:
    """Wait until the daemon has evaluated up to a position."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                if await evaluated_position(database, stream) >= position:
                    return True
                await asyncio.sleep(_POLL_SECONDS)
    except (TimeoutError, StoreError):
        return False
