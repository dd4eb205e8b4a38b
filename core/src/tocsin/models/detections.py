"""What the rules say about the events."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tocsin.models.kinds import IncidentSeverity, Instant

TYPE_NAME = r"^[a-z][a-z0-9_.]{0,63}$"
"""The form of an incident type."""

Scalar = str | int | float | bool | None
"""What a group is made of."""


class _Signal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule_id: str
    group: dict[str, Scalar] = Field(default_factory=dict)
    """The values of the rule's `group_by` fields: what this is about."""


class Detection(_Signal):
    """A rule fired for a group, with the evidence."""

    kind: Literal["detection"] = "detection"
    detection_id: str
    """Derived from rule, group and contributing events: the same for the same input."""
    detected_at: Instant
    """The event time of the event that tipped the condition."""
    severity: IncidentSeverity
    incident_type: str
    title: str
    description: str = ""
    event_ids: tuple[str, ...] = ()
    """The events in the window, oldest first."""
    values: dict[str, float | int] = Field(default_factory=dict)
    """What the condition saw, by the name of the aggregate."""
    components: tuple[str, ...] = ()
    """The components of the events in the window, sorted."""
    correlation_ids: tuple[str, ...] = ()
    """The correlation ids of the events in the window, sorted."""
    first_event_at: Instant
    """The event time of the oldest event in the window."""
    ruleset: str = ""
    rule_hash: str = ""
    """Hash of the rule's content: which version of the rule said so."""
    recommend: tuple[str, ...] = ()
    """Actions that the rule recommends, best first."""


class Escalation(_Signal):
    """A condition that has fired became worse."""

    kind: Literal["escalation"] = "escalation"
    detection_id: str
    """The latest detection of this rule and group."""
    at: Instant
    severity: IncidentSeverity
    values: dict[str, float | int] = Field(default_factory=dict)
    event_id: str


class Cleared(_Signal):
    """A condition that has fired was quiet for the rule's `resolve_after`."""

    kind: Literal["cleared"] = "cleared"
    detection_id: str
    """The latest detection of this rule and group."""
    at: Instant


class Quarantined(BaseModel):
    """An event that could not be evaluated: kept aside, reported, and the rest went on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["quarantined"] = "quarantined"
    event_id: str
    at: Instant
    reason: str


Signal = Detection | Escalation | Cleared | Quarantined
"""Everything that the engine can say, in the order in which it says it."""
