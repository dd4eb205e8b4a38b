"""Firing: the part of a group's state that is stored, and the detection that comes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tocsin.clock import from_micros
from tocsin.models import Detection, IncidentSeverity
from tocsin.rules.schema import Rule
from tocsin.rules.titles import fill_title
from tocsin.rules.windows import Entry


@dataclass(slots=True)
class Firing:
    """The firing of one rule for one group; instants in microseconds."""

    on: bool = False
    """Whether the condition is true now."""
    since: int | None = None
    """When it turned true; with `resolve_after`, for the first time since it was cleared."""
    fired_at: int | None = None
    detection_id: str | None = None
    """The latest detection; None once the condition was cleared."""
    severity: IncidentSeverity | None = None
    """The highest severity told so far."""
    seen: int = 0
    """The engine's time at the latest matching event."""
    broken_at: int | None = None
    """The latest event that interrupted a run."""

    @property
    def latest(self) -> int:
        """When there was last anything to tell: an event, or a firing that time brought about."""
        return max(self.seen, self.fired_at) if self.fired_at is not None else self.seen

    def clear(self) -> None:
        """Note that the condition is over: the next matching event may fire anew."""
        self.on = False
        self.fired_at = None
        self.detection_id = None
        self.severity = None

    def dump(self, group: dict[str, Any]) -> dict[str, Any]:
        """Give everything as JSON types."""
        return {
            "group": group,
            "on": self.on,
            "since": self.since,
            "fired_at": self.fired_at,
            "detection_id": self.detection_id,
            "severity": self.severity.value if self.severity else None,
            "seen": self.seen,
            "broken_at": self.broken_at,
        }

    @classmethod
    def load(cls, state: dict[str, Any], *, seen: int) -> Firing:
        """Take what `dump` gave; `seen` is what the rebuilt window knows."""
        severity = state["severity"]
        return cls(
            on=state["on"],
            since=state["since"],
            fired_at=state["fired_at"],
            detection_id=state["detection_id"],
            severity=IncidentSeverity(severity) if severity else None,
            seen=max(state["seen"], seen),
            broken_at=state["broken_at"],
        )


def make_detection(
    rule: Rule,
    *,
    rule_hash: str,
    group_text: str,
    group: dict[str, Any],
    at: int,
    entries: list[Entry],
    values: dict[str, float],
    severity: IncidentSeverity,
) -> Detection:
    """Build the detection for a firing; its id depends on rule, group, instant and events alone."""
    event_ids = tuple(entry.event_id for entry in entries)
    identity = orjson.dumps([rule.id, group_text, at, event_ids])
    return Detection(
        detection_id=f"det_{hashlib.sha256(identity).hexdigest()[:24]}",
        rule_id=rule.id,
        ruleset=rule.ruleset,
        rule_hash=rule_hash,
        group=group,
        detected_at=from_micros(at),
        severity=severity,
        incident_type=rule.incident_type,
        title=fill_title(rule, group, values, severity),
        description=rule.description,
        event_ids=event_ids,
        values=values,
        components=tuple(sorted({entry.component for entry in entries})),
        correlation_ids=tuple(sorted({e.correlation_id for e in entries if e.correlation_id})),
        first_event_at=from_micros(min((entry.at for entry in entries), default=at)),
        recommend=rule.recommend,
    )


def reached_severity(
    rule: Rule, lasted: int, steps: Sequence[bool], values: Mapping[str, float]
) -> IncidentSeverity:
    """Give the highest severity that a rule's escalation reaches.

    Args:
        rule: the rule.
        lasted: for how long the condition has been true, in microseconds.
        steps: for each step, whether its condition on the latest event holds.
        values: the aggregates' values, by name.
    """
    severity = rule.severity
    for index, step in enumerate(rule.escalate):
        met = (
            all(a.limit.holds(values.get(a.name, 0)) for a in step.aggregations)
            and (step.lasting is None or lasted >= step.lasting)
            and (step.when is None or (index < len(steps) and steps[index]))
        )
        if met and step.severity > severity:
            severity = step.severity
    return severity
