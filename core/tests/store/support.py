"""What the tests of the store share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.clock import SECOND, from_micros
from tocsin.correlation import Correlation
from tocsin.models import Detection, Incident, IncidentEvent, IncidentSeverity
from tocsin.models.wire import as_model
from tocsin.store.database import Database, database_url, open_database
from tocsin.store.journal import Block, Horizon, Journal
from tocsin.store.results import Checkpoint, IncidentWrite, Outcome
from tocsin.store.tables import metadata

START = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z in microseconds."""
MANY = Horizon()


@contextlib.asynccontextmanager
async def opened(url: str, *, directory: Path | None = None) -> AsyncIterator[Database]:
    """Open a database as long as the block lasts."""
    database = await open_database(database_url(url, directory=directory))
    try:
        yield database
    finally:
        await database.close()


@contextlib.contextmanager
def other_program(url: str) -> Iterator[sa.Connection]:
    """Connect as any other program might, in a transaction of its own."""
    target = database_url(url)
    if target.drivername.startswith("sqlite"):
        target = target.set(drivername="sqlite")
    engine = sa.create_engine(target, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with other_program(url) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def contents(url: str) -> dict[str, list[str]]:
    """Give everything that the database holds."""
    with other_program(url) as connection:
        return {
            table.name: sorted(repr(row) for row in connection.execute(sa.select(table)))
            for table in metadata.sorted_tables
        }


async def open_journal(
    database: Database,
    stream: str = "main",
    *,
    horizon: Horizon = MANY,
    max_ahead: int = 600 * SECOND,
    max_event_bytes: int = 100_000,
) -> Journal:
    journal = Journal(
        database, stream, horizon=horizon, max_ahead=max_ahead, max_event_bytes=max_event_bytes
    )
    await journal.open()
    return journal


def event(name: object, at: float = 0, **fields: Any) -> IncidentEvent:
    """Make an event so many seconds after the start."""
    values = {
        "event_id": str(name),
        "timestamp": from_micros(micros(at)),
        "event_type": "fail",
        "source": "api",
        **fields,
    }
    return IncidentEvent(**values)


def micros(at: float) -> int:
    return START + round(at * SECOND)


def ids(blocks: Sequence[Block]) -> list[list[str]]:
    """Give the ids of the events of each block."""
    return [[one.event_id for one in block.events] for block in blocks]


async def all_blocks(journal: Journal) -> list[Block]:
    found: list[Block] = []
    while more := await journal.read(found[-1].position if found else 0):
        found += more
    return found


async def accepted(database: Database, stream: str = "main") -> list[str]:
    """Give the ids of all events in the journal, in order, as a new reader sees them."""
    journal = await open_journal(database, stream)
    return [one.event_id for block in await all_blocks(journal) for one in block.events]


def models(block: Block) -> list[IncidentEvent]:
    return [as_model(one) for one in block.events]


def detection(name: object, at: float = 0, **fields: Any) -> Detection:
    values = {
        "detection_id": f"det_{name}",
        "rule_id": "r0",
        "detected_at": from_micros(micros(at)),
        "first_event_at": from_micros(micros(at - 1)),
        "severity": IncidentSeverity.LOW,
        "incident_type": "error_burst",
        "title": "trouble",
        "event_ids": (f"e{name}",),
        "components": ("api",),
        **fields,
    }
    return Detection(**values)


def opening(name: object, at: float = 0, **fields: Any) -> IncidentWrite:
    """Make the write that opens the incident of a detection of this name."""
    correlation = Correlation()
    shown = event(f"e{name}", at - 1)
    (change,) = correlation.apply([detection(name, at, **fields)], {shown.event_id: shown})
    assert change.detection is not None
    return IncidentWrite(
        incident=change.incident,
        tracking=correlation.tracking(change.incident.id),
        opened=True,
        story=change.story,
        detections=(change.detection,),
        events=change.events,
    )


def changed(write: IncidentWrite, **fields: Any) -> IncidentWrite:
    """Make the write that changes an incident that is already stored."""
    return IncidentWrite(write.incident.model_copy(update=fields), write.tracking)


def bare(incident: Incident) -> Incident:
    """Give an incident as lists of incidents show it."""
    return incident.model_copy(update={"events": (), "timeline": ()})


def outcome(position: int, *writes: IncidentWrite, now: int | None = None, **rest: Any) -> Outcome:
    return Outcome(Checkpoint(position, now), writes, **rest)
