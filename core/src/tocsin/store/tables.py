"""The tables. Instants are whole microseconds since 1970; JSON is stored as text."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

streams = Table(
    "streams",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False, server_default="0"),
)
"""Where each journal ends, and how many events it took in.

Its row is the lock of whoever appends."""

journal = Table(
    "journal",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("journal_max_time", "stream", "max_time"),
)
"""Accepted events, a row for each batch committed together; no events: time moved on."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("now", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("statistics", Text, nullable=False),
)
"""How far each journal has been evaluated, written together with what came of it."""

firings = Table(
    "firings",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("rule_id", String(64), primary_key=True),
    Column("group_hash", String(64), primary_key=True),
    Column("rule_hash", String(64), nullable=False),
    Column("group_key", Text, nullable=False),
    Column("state", Text, nullable=False),
)
"""Which rules have fired for which groups, as far as it matters to what is to come."""

detector_states = Table(
    "detector_states",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("detector", String(128), primary_key=True),
    Column("state", LargeBinary, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("source", String(128), primary_key=True),
    Column("cursor", Text, nullable=False),
)
"""Where each source goes on, written together with the events before it."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("stream", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("status", String(32), nullable=False),
    Column("rule_id", String(64), nullable=False),
    Column("detected_at", BigInteger, nullable=False),
    Column("first_event_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("resolved_at", BigInteger),
    Column("body", Text, nullable=False),
    Column("tracking", Text, nullable=False),
    Index("incidents_detected_at", "detected_at"),
    Index("incidents_status", "stream", "status"),
)

incident_components = Table(
    "incident_components",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("component", String(256), primary_key=True),
    Index("incident_components_component", "component"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("source", String(256), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
)

incident_events = Table(
    "incident_events",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("event_id", String(256), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

detections = Table(
    "detections",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("detection_id", String(64), primary_key=True),
    Column("incident_id", String(64), nullable=False),
    Column("rule_id", String(64), nullable=False),
    Column("detected_at", BigInteger, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("detections_incident", "incident_id"),
    Index("detections_rule", "rule_id", "detected_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("event_id", String(256), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
)
"""Events that could not be judged."""

rule_changes = Table(
    "rule_changes",
    metadata,
    Column("rule_id", String(64), primary_key=True),
    Column("changes", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""Operators' changes to rules, taken at the next start."""
