"""An incident: what people work on."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tocsin.models.events import IncidentEvent
from tocsin.models.kinds import IncidentSeverity, Instant


class IncidentStatus(StrEnum):
    """Where an incident stands. Acknowledgement is not a status."""

    DETECTED = "detected"
    ASSESSING = "assessing"
    CONTAINING = "containing"
    INVESTIGATING = "investigating"
    REMEDIATING = "remediating"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def active(self) -> bool:
        """Whether somebody still has to do something."""
        return self not in (IncidentStatus.RESOLVED, IncidentStatus.CLOSED)


class TimelineEntry(BaseModel):
    """One line of an incident's story."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Instant
    kind: str
    """What sort of thing happened: `event`, `detection`, `status`, `escalation`, `note` ..."""
    source: str
    """Who or what did or reported it."""
    text: str
    data: dict[str, JsonValue] = Field(default_factory=dict)


class ActionTaken(BaseModel):
    """One execution of an action for an incident."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    at: Instant
    by: str
    succeeded: bool
    text: str = ""


class Incident(BaseModel):
    """Trouble with a beginning, a state and an end.

    A value, not a handle: changing one gives a new one, and the store keeps the current one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str
    severity: IncidentSeverity
    status: IncidentStatus = IncidentStatus.DETECTED
    title: str
    description: str = ""
    detected_at: Instant
    first_event_at: Instant
    """The event time of the oldest event that led to it."""
    assessing_at: Instant | None = None
    containing_at: Instant | None = None
    investigating_at: Instant | None = None
    remediating_at: Instant | None = None
    recovering_at: Instant | None = None
    resolved_at: Instant | None = None
    closed_at: Instant | None = None
    cleared_at: Instant | None = None
    """When the last of its conditions was over, while none is on."""
    rule_id: str = ""
    group: dict[str, Any] = Field(default_factory=dict)
    affected_components: tuple[str, ...] = ()
    events: tuple[IncidentEvent, ...] = ()
    """The evidence that is kept, oldest first; `event_count` counts all of it."""
    event_count: int = 0
    detection_count: int = 0
    assignee: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: Instant | None = None
    correlation_ids: tuple[str, ...] = ()
    root_cause: dict[str, JsonValue] | None = None
    recommended_actions: tuple[str, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    actions_taken: tuple[ActionTaken, ...] = ()
    post_mortem: str | None = None

    @property
    def active(self) -> bool:
        """Whether it is neither resolved nor closed."""
        return self.status.active

    def mttd(self) -> timedelta:
        """Time to detect: from the first event to the detection."""
        return self.detected_at - self.first_event_at

    def mtta(self) -> timedelta | None:
        """Time to acknowledge: from the detection, or None while nobody has."""
        return self.acknowledged_at - self.detected_at if self.acknowledged_at else None

    def mttr(self) -> timedelta | None:
        """Time to resolve: from the detection, or None while it is not resolved."""
        return self.resolved_at - self.detected_at if self.resolved_at else None

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON types, with the three durations in seconds."""
        mtta, mttr = self.mtta(), self.mttr()
        return {
            **self.model_dump(mode="json"),
            "mttd_seconds": self.mttd().total_seconds(),
            "mtta_seconds": mtta.total_seconds() if mtta is not None else None,
            "mttr_seconds": mttr.total_seconds() if mttr is not None else None,
        }
