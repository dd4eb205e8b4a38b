"""What the evaluation of events leads to, stored in one transaction with the checkpoint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from tocsin.clock import to_micros
from tocsin.errors import StoreError
from tocsin.models import Detection, Incident, IncidentEvent, Quarantined, TimelineEntry
from tocsin.store.database import Database
from tocsin.store.tables import (
    checkpoints,
    detections,
    detector_states,
    firings,
    incidents,
    timeline,
)

_PARAMETERS = 1000
"""Values in one statement: databases take only so many."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_COLUMNS = ("id", "type", "severity", "status", "rule_id", "detected_at", "first_event_at")
_APART = frozenset({"events", "timeline", *_COLUMNS})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a journal has been evaluated."""

    position: int
    now: int | None
    """The engine's time in microseconds."""
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IncidentWrite:
    """A change of an incident, ready to be stored."""

    incident: Incident
    tracking: dict[str, Any]
    """What placing further signals needs to know; opaque here."""
    opened: bool = False
    story: tuple[TimelineEntry, ...] = ()
    detections: tuple[Detection, ...] = ()
    events: tuple[IncidentEvent, ...] = ()


@dataclass(slots=True)
class Outcome:
    """Everything that one evaluation changes."""

    checkpoint: Checkpoint
    writes: Sequence[IncidentWrite] = ()
    firings: Mapping[str, Mapping[str, dict[str, Any] | None]] = field(default_factory=dict)
    """By rule, then by group; None deletes."""
    rule_hashes: Mapping[str, str] = field(default_factory=dict)
    quarantined: Sequence[tuple[Quarantined, IncidentEvent | None]] = ()
    detectors: Mapping[str, bytes] = field(default_factory=dict)


class Results:
    """The stored results of one stream."""

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream
        self.lost = False
        """Whether another process evaluates this stream now."""
        self.position: int | None = None
        """The checkpoint's position as this manager left it."""

    async def checkpoint(self) -> Checkpoint | None:
        """Read how far the journal has been evaluated."""
        query = sa.select(checkpoints).where(checkpoints.c.stream == self._stream)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        self.position = row.position if row is not None else None
        if row is None:
            return None
        return Checkpoint(row.position, row.now, orjson.loads(row.statistics))

    async def firings(self, rule_hashes: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
        """Read the firings of rules that are still the same."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        query = sa.select(firings).where(firings.c.stream == self._stream)
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                if rule_hashes.get(row.rule_id) == row.rule_hash:
                    found.setdefault(row.rule_id, {})[row.group_key] = orjson.loads(row.state)
        return found

    async def detectors(self) -> dict[str, bytes]:
        """Read the states of the detectors."""
        query = sa.select(detector_states).where(detector_states.c.stream == self._stream)
        async with self._database.read() as connection:
            return {row.detector: bytes(row.state) for row in await connection.execute(query)}

    async def known(self, detection_ids: Sequence[str]) -> set[str]:
        """Say which detections are stored: an event that is accepted anew leads to them again."""
        found: set[str] = set()
        async with self._database.read() as connection:
            for start in range(0, len(detection_ids), _PARAMETERS):
                query = sa.select(detections.c.detection_id).where(
                    detections.c.stream == self._stream,
                    detections.c.detection_id.in_(detection_ids[start : start + _PARAMETERS]),
                )
                found |= {row.detection_id for row in await connection.execute(query)}
        return found

    async def store(self, outcome: Outcome, *, at: int) -> None:
        """Store an outcome and move the checkpoint, or neither.

        Raises:
            StoreError: nothing was stored; also where another process has moved the checkpoint.
        """

        def work(connection: sa.Connection) -> None:
            self._move(connection, outcome.checkpoint, at)
            for write in outcome.writes:
                self._store_incident(connection, write)
            self._store_firings(connection, outcome)
            for quarantined, event in outcome.quarantined:
                self._store_quarantined(connection, quarantined, event)
            self._store_detectors(connection, outcome.detectors)

        await self._database.write(work)
        self.position = outcome.checkpoint.position

    async def store_incidents(self, writes: Sequence[IncidentWrite]) -> None:
        """Store changes that people or the workflow made.

        Raises:
            StoreError: nothing was stored.
        """

        def work(connection: sa.Connection) -> None:
            for write in writes:
                self._store_incident(connection, write)

        await self._database.write(work)

    def _store_detectors(self, connection: sa.Connection, states: Mapping[str, bytes]) -> None:
        for name, state in states.items():
            connection.execute(
                sa.text(
                    "INSERT INTO detector_states (stream, detector, state)"
                    " VALUES (:stream, :detector, :state)"
                    " ON CONFLICT (stream, detector) DO UPDATE SET state = excluded.state"
                ),
                {"stream": self._stream, "detector": name, "state": state},
            )

    def _move(self, connection: sa.Connection, checkpoint: Checkpoint, at: int) -> None:
        values = {
            "position": checkpoint.position,
            "now": checkpoint.now,
            "updated_at": at,
            "statistics": orjson.dumps(checkpoint.statistics).decode(),
        }
        if self.position is None:
            statement = sa.text(
                "INSERT INTO checkpoints (stream, position, now, updated_at, statistics)"
                " VALUES (:stream, :position, :now, :updated_at, :statistics)"
                " ON CONFLICT (stream) DO NOTHING"
            )
            result = connection.execute(statement, {"stream": self._stream, **values})
        else:
            mine = checkpoints.c.stream == self._stream
            unmoved = checkpoints.c.position == self.position
            result = connection.execute(
                sa.update(checkpoints).where(mine, unmoved).values(**values)
            )
        if result.rowcount != 1:
            self.lost = True
            raise StoreError(
                f"another process has evaluated stream {self._stream!r} meanwhile; this one stops"
            )

    def _store_incident(self, connection: sa.Connection, write: IncidentWrite) -> None:
        incident = write.incident
        row = {
            "id": incident.id,
            "stream": self._stream,
            "type": incident.type,
            "severity": incident.severity.rank,
            "status": incident.status.value,
            "rule_id": incident.rule_id,
            "detected_at": to_micros(incident.detected_at),
            "first_event_at": to_micros(incident.first_event_at),
            "acknowledged_at": _micros(incident.acknowledged_at),
            "resolved_at": _micros(incident.resolved_at),
            "body": incident.model_dump_json(exclude=set(_APART)),
            "tracking": orjson.dumps(write.tracking).decode(),
        }
        if write.opened:
            connection.execute(sa.insert(incidents).values(**row))
        else:
            connection.execute(
                sa.update(incidents).where(incidents.c.id == incident.id).values(**row)
            )
        self._store_parts(connection, incident.id, write)

    def _store_parts(
        self, connection: sa.Connection, incident_id: str, write: IncidentWrite
    ) -> None:
        components = [
            {"incident_id": incident_id, "component": storable_text(component)}
            for component in write.incident.affected_components
        ]
        if components and (write.opened or write.detections):
            connection.execute(
                sa.text(
                    "INSERT INTO incident_components (incident_id, component)"
                    " VALUES (:incident_id, :component) ON CONFLICT DO NOTHING"
                ),
                components,
            )
        if write.story:
            query = sa.select(sa.func.max(timeline.c.number)).where(
                timeline.c.incident_id == incident_id
            )
            last = connection.scalar(query) or 0
            connection.execute(
                sa.insert(timeline),
                [_timeline_row(incident_id, last + 1 + i, e) for i, e in enumerate(write.story)],
            )
        if write.events:
            connection.execute(
                sa.text(
                    "INSERT INTO incident_events (incident_id, event_id, at, body)"
                    " VALUES (:incident_id, :event_id, :at, :body) ON CONFLICT DO NOTHING"
                ),
                [
                    {
                        "incident_id": incident_id,
                        "event_id": storable_text(event.event_id),
                        "at": to_micros(event.timestamp),
                        "body": event.model_dump_json(),
                    }
                    for event in write.events
                ],
            )
        if write.detections:
            connection.execute(
                sa.insert(detections),
                [
                    {
                        "stream": self._stream,
                        "detection_id": detection.detection_id,
                        "incident_id": incident_id,
                        "rule_id": detection.rule_id,
                        "detected_at": to_micros(detection.detected_at),
                        "severity": detection.severity.rank,
                        "body": detection.model_dump_json(),
                    }
                    for detection in write.detections
                ],
            )

    def _store_firings(self, connection: sa.Connection, outcome: Outcome) -> None:
        kept, over = [], []
        for rule_id, groups in outcome.firings.items():
            for text, state in groups.items():
                key = {
                    "stream": self._stream,
                    "rule_id": rule_id,
                    "group_hash": hashlib.sha256(text.encode()).hexdigest(),
                }
                if state is None:
                    over.append(key)
                else:
                    raw = orjson.dumps(state).decode()
                    rule_hash = outcome.rule_hashes.get(rule_id, "")
                    kept.append({**key, "rule_hash": rule_hash, "group_key": text, "state": raw})
        if over:
            connection.execute(
                sa.text(
                    "DELETE FROM firings WHERE stream = :stream AND rule_id = :rule_id"
                    " AND group_hash = :group_hash"
                ),
                over,
            )
        if kept:
            connection.execute(
                sa.text(
                    "INSERT INTO firings"
                    " (stream, rule_id, group_hash, rule_hash, group_key, state)"
                    " VALUES (:stream, :rule_id, :group_hash, :rule_hash, :group_key, :state)"
                    " ON CONFLICT (stream, rule_id, group_hash) DO UPDATE"
                    " SET rule_hash = excluded.rule_hash, state = excluded.state"
                ),
                kept,
            )

    def _store_quarantined(
        self, connection: sa.Connection, quarantined: Quarantined, event: IncidentEvent | None
    ) -> None:
        connection.execute(
            sa.text(
                "INSERT INTO quarantine (stream, event_id, at, reason, body)"
                " VALUES (:stream, :event_id, :at, :reason, :body) ON CONFLICT DO NOTHING"
            ),
            {
                "stream": self._stream,
                "event_id": storable_text(quarantined.event_id),
                "at": to_micros(quarantined.at),
                "reason": quarantined.reason,
                "body": event.model_dump_json() if event is not None else "{}",
            },
        )


def _timeline_row(incident_id: str, number: int, entry: TimelineEntry) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "number": number,
        "at": to_micros(entry.at),
        "kind": entry.kind,
        "source": storable_text(entry.source),
        "text": storable_text(entry.text),
        "data": orjson.dumps(entry.data).decode(),
    }


def storable_text(text: str) -> str:
    """Make a text storable: PostgreSQL has no NUL character, and no database lone surrogates."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _micros(instant: Any) -> int | None:
    return to_micros(instant) if instant is not None else None
