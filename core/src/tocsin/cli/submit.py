"""Submits events from the command line, whether or not a daemon evaluates the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tocsin.assembly import open_journal
from tocsin.clock import SystemClock, to_micros
from tocsin.errors import StoreError
from tocsin.manager import IncidentManager
from tocsin.models import Event, Incident
from tocsin.models.wire import as_model
from tocsin.settings import Loaded
from tocsin.store.database import Database, database_url, open_database
from tocsin.store.ownership import OwnedElsewhereError
from tocsin.store.queries import IncidentFilter, list_incidents, stream_status

_WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.2


@dataclass(slots=True)
class Submitted:
    """What became of submitted events."""

    accepted: int = 0
    duplicates: int = 0
    incidents: list[Incident] = field(default_factory=list)
    """The incidents that they opened."""
    evaluated: bool = True
    """False where the daemon that evaluates the stream has not got to them in time."""


async def submit(
    loaded: Loaded, batches: Iterable[Sequence[Event]], advance: Callable[[float], None]
) -> Submitted:
    """Submit events and wait for what comes of them.

    Where a daemon evaluates the stream, the events go into its journal; otherwise they are
    evaluated here.

    Raises:
        TocsinError: they could not be stored.
    """
    manager = IncidentManager(loaded, run_sources=False)
    try:
        await manager.start()
    except OwnedElsewhereError:
        return await _through_journal(loaded, batches, advance)
    result = Submitted()
    try:
        for batch in batches:
            new = await manager.submit_events([as_model(event) for event in batch])
            result.accepted += new
            result.duplicates += len(batch) - new
            advance(len(batch))
        result.incidents = await manager.check_for_incidents()
    finally:
        await manager.stop()
    return result


async def _through_journal(
    loaded: Loaded, batches: Iterable[Sequence[Event]], advance: Callable[[float], None]
) -> Submitted:
    result = Submitted()
    database = await open_database(
        database_url(loaded.settings.database, directory=loaded.directory)
    )
    try:
        before = {incident.id for incident in await list_incidents(database, IncidentFilter())}
        journal = await open_journal(database, loaded.settings)
        for batch in batches:
            now = to_micros(SystemClock().now())
            done = await journal.append([as_model(event) for event in batch], accepted_at=now)
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
                for status in await stream_status(database):
                    if status["stream"] == stream and status["evaluated"] >= position:
                        return True
                await asyncio.sleep(_POLL_SECONDS)
    except (TimeoutError, StoreError):
        return False
