"""Reads what is stored: for the CLI, the API and the start of a manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from tocsin.clock import from_micros, to_micros
from tocsin.models import Detection, Incident, IncidentEvent, IncidentSeverity, TimelineEntry
from tocsin.models.incidents import IncidentStatus
from tocsin.models.wire import as_model, decode_event
from tocsin.store.database import Database
from tocsin.store.journal import decode
from tocsin.store.results import storable_text
from tocsin.store.tables import (
    checkpoints,
    detections,
    incident_components,
    incident_events,
    incidents,
    journal,
    quarantine,
    rule_changes,
    streams,
    timeline,
)

Made = TypeVar("Made")
_ENTRY_FIELDS = set(TimelineEntry.model_fields)
_SLICE = 50
"""Rows made into objects before the loop has its turn."""
_IDS = 500
"""Ids in one query at most: databases take only so many parameters."""
ACTIVE = tuple(status.value for status in IncidentStatus if status.active)


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents are wanted; all that is given must hold."""

    statuses: Sequence[str] = ()
    """Statuses; `active` stands for all but resolved and closed."""
    min_severity: IncidentSeverity | None = None
    severity: IncidentSeverity | None = None
    type: str | None = None
    component: str | None = None
    since: datetime | None = None
    limit: int | None = None
    stream: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Give the SQL conditions."""
        found: list[sa.ColumnElement[bool]] = []
        if self.statuses:
            wanted = [
                s for status in self.statuses for s in (ACTIVE if status == "active" else (status,))
            ]
            found.append(incidents.c.status.in_(wanted))
        if self.stream is not None:
            found.append(incidents.c.stream == self.stream)
        if self.severity is not None:
            found.append(incidents.c.severity == self.severity.rank)
        if self.min_severity is not None:
            found.append(incidents.c.severity >= self.min_severity.rank)
        if self.type is not None:
            found.append(incidents.c.type == self.type)
        if self.since is not None:
            found.append(incidents.c.detected_at >= to_micros(self.since))
        if self.component is not None:
            affected = sa.select(incident_components.c.incident_id).where(
                incident_components.c.component == self.component
            )
            found.append(incidents.c.id.in_(affected))
        return found


async def list_incidents(database: Database, wanted: IncidentFilter) -> list[Incident]:
    """List incidents, newest first, without their events and timelines."""
    query = (
        sa.select(incidents)
        .where(*wanted.conditions())
        .order_by(incidents.c.detected_at.desc(), incidents.c.id)
        .limit(wanted.limit)
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    return await _made(rows, _incident)


async def _made(rows: Sequence[Any], make: Callable[[Any], Made]) -> list[Made]:
    """Make objects of many rows, leaving the loop free between slices."""
    made: list[Made] = []
    for start in range(0, len(rows), _SLICE):
        made += map(make, rows[start : start + _SLICE])
        await asyncio.sleep(0)
    return made


async def find_incidents(database: Database, start: str) -> list[str]:
    """List the ids that begin with a text: people type only as much as is needed."""
    pattern = start.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = sa.select(incidents.c.id).where(incidents.c.id.like(f"{pattern}%", escape="\\"))
    async with database.read() as connection:
        return [
            row.id for row in await connection.execute(query.order_by(incidents.c.id).limit(20))
        ]


async def get_incident(database: Database, incident_id: str) -> Incident | None:
    """Read one incident whole."""
    async with database.read() as connection:
        query = sa.select(incidents).where(incidents.c.id == incident_id)
        row = (await connection.execute(query)).first()
        if row is None:
            return None
        entries = await connection.execute(
            sa.select(timeline)
            .where(timeline.c.incident_id == incident_id)
            .order_by(timeline.c.at, timeline.c.number)
        )
        story = tuple(_entry(entry) for entry in entries)
        bodies = await connection.execute(
            sa.select(incident_events.c.body)
            .where(incident_events.c.incident_id == incident_id)
            .order_by(incident_events.c.at, incident_events.c.event_id)
        )
        events = tuple(decode_event(body.body) for body in bodies)
    return _incident(row).model_copy(update={"timeline": story, "events": events})


async def get_detections(
    database: Database, stream: str, detection_ids: Iterable[str]
) -> dict[str, Detection]:
    """Read detections, by id."""
    wanted = sorted(set(detection_ids))
    rows: list[Any] = []
    for start in range(0, len(wanted), _IDS):
        query = sa.select(detections.c.body).where(
            detections.c.stream == stream,
            detections.c.detection_id.in_(wanted[start : start + _IDS]),
        )
        async with database.read() as connection:
            rows += (await connection.execute(query)).all()
    found = await _made(rows, lambda row: Detection.model_validate_json(row.body))
    return {detection.detection_id: detection for detection in found}


async def active_incidents(
    database: Database, stream: str
) -> list[tuple[Incident, dict[str, Any]]]:
    """Read the active incidents of a stream with their tracking, oldest first."""
    query = (
        sa.select(incidents)
        .where(incidents.c.stream == stream, incidents.c.status.in_(ACTIVE))
        .order_by(incidents.c.detected_at, incidents.c.id)
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    return await _made(rows, lambda row: (_incident(row), orjson.loads(row.tracking)))


async def last_events(database: Database, stream: str, count: int) -> list[IncidentEvent]:
    """Read the newest accepted events, oldest first."""
    found: list[IncidentEvent] = []
    before: int | None = None
    while len(found) < count:
        query = sa.select(journal.c.position, journal.c.body).where(
            journal.c.stream == stream, journal.c.count > 0
        )
        if before is not None:
            query = query.where(journal.c.position < before)
        async with database.read() as connection:
            rows = (
                await connection.execute(query.order_by(journal.c.position.desc()).limit(50))
            ).all()
        for row in rows:
            found = [*map(as_model, decode(row.body)), *found]
            before = row.position
            if len(found) >= count:
                break
        if len(rows) < 50:  # noqa: PLR2004 - fewer than asked for: there are no more
            break
    return found[-count:]


async def stream_status(database: Database) -> list[dict[str, Any]]:
    """Read how many events each journal took in, and what its manager last counted."""
    # What is not evaluated yet is still in the journal.
    waiting = (
        sa.select(sa.func.coalesce(sa.func.sum(journal.c.count), 0))
        .where(
            journal.c.stream == streams.c.stream,
            journal.c.position > sa.func.coalesce(checkpoints.c.position, 0),
        )
        .scalar_subquery()
    )
    query = sa.select(
        streams.c.stream,
        streams.c.events,
        waiting.label("waiting"),
        checkpoints.c.now,
        checkpoints.c.updated_at,
        checkpoints.c.statistics,
    ).outerjoin(checkpoints, checkpoints.c.stream == streams.c.stream)
    async with database.read() as connection:
        rows = (await connection.execute(query.order_by(streams.c.stream))).all()
    return [
        {
            "stream": row.stream,
            "accepted": row.events,
            "evaluated": row.events - int(row.waiting),
            "now": from_micros(row.now) if row.now is not None else None,
            "updated_at": from_micros(row.updated_at) if row.updated_at is not None else None,
            "statistics": orjson.loads(row.statistics) if row.statistics else {},
        }
        for row in rows
    ]


async def evaluated_position(database: Database, stream: str) -> int:
    """Read up to where a journal is evaluated and stored."""
    query = sa.select(checkpoints.c.position).where(checkpoints.c.stream == stream)
    async with database.read() as connection:
        return int(await connection.scalar(query) or 0)


async def quarantined_events(database: Database, stream: str, limit: int) -> list[dict[str, Any]]:
    """Read the newest events that could not be judged."""
    query = (
        sa.select(quarantine)
        .where(quarantine.c.stream == stream)
        .order_by(quarantine.c.at.desc(), quarantine.c.event_id)
        .limit(limit)
    )
    async with database.read() as connection:
        return [
            {
                "event_id": row.event_id,
                "at": from_micros(row.at),
                "reason": row.reason,
                "event": orjson.loads(row.body),
            }
            for row in await connection.execute(query)
        ]


async def quarantined_among(
    database: Database, stream: str, event_ids: Sequence[str]
) -> list[tuple[str, str]]:
    """Find which of some events could not be judged, each with why."""
    found: dict[str, str] = {}
    stored = [storable_text(event_id) for event_id in event_ids]
    async with database.read() as connection:
        for start in range(0, len(event_ids), _IDS):
            query = sa.select(quarantine.c.event_id, quarantine.c.reason).where(
                quarantine.c.stream == stream,
                quarantine.c.event_id.in_(stored[start : start + _IDS]),
            )
            found |= {row.event_id: row.reason for row in await connection.execute(query)}
    pairs = zip(event_ids, stored, strict=True)
    return [(event_id, found[key]) for event_id, key in pairs if key in found]


async def stored_rule_changes(database: Database) -> dict[str, dict[str, Any]]:
    """Read the operators' changes to rules, by id."""
    async with database.read() as connection:
        rows = await connection.execute(sa.select(rule_changes))
        return {row.rule_id: orjson.loads(row.changes) for row in rows}


async def store_rule_changes(
    database: Database, changes: dict[str, dict[str, Any]], *, at: datetime
) -> None:
    """Store operators' changes to rules; an empty one forgets all earlier changes of the rule."""

    def work(connection: sa.Connection) -> None:
        for rule_id, change in changes.items():
            connection.execute(sa.delete(rule_changes).where(rule_changes.c.rule_id == rule_id))
            if change:
                raw = orjson.dumps(change).decode()
                row = {"rule_id": rule_id, "changes": raw, "updated_at": to_micros(at)}
                connection.execute(sa.insert(rule_changes).values(**row))

    await database.write(work)


def _incident(row: Any) -> Incident:
    return Incident.model_validate(
        {
            **orjson.loads(row.body),
            "id": row.id,
            "type": row.type,
            "severity": _severity(row.severity),
            "status": row.status,
            "rule_id": row.rule_id,
            "detected_at": from_micros(row.detected_at),
            "first_event_at": from_micros(row.first_event_at),
        }
    )


def _severity(rank: int) -> IncidentSeverity:
    return next(severity for severity in IncidentSeverity if severity.rank == rank)


def _entry(row: Any) -> TimelineEntry:
    # Checked when it was stored.
    return TimelineEntry.model_construct(
        _ENTRY_FIELDS,
        at=from_micros(row.at),
        kind=row.kind,
        source=row.source,
        text=row.text,
        data=orjson.loads(row.data),
    )
