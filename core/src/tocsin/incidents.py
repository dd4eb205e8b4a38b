"""The life of an incident as pure functions: each gives the changed incident and its story.

States and transitions: the eight of `IncidentStatus`. Work goes forwards stage by stage, stages may
be left out, recovery that fails goes back, and what is resolved or closed can be reopened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tocsin.clock import MICROSECOND
from tocsin.durations import format_duration
from tocsin.errors import TransitionError
from tocsin.models import (
    Cleared,
    Detection,
    Escalation,
    Incident,
    IncidentEvent,
    IncidentStatus,
    TimelineEntry,
)

S = IncidentStatus
TRANSITIONS: dict[IncidentStatus, tuple[IncidentStatus, ...]] = {
    S.DETECTED: (
        S.ASSESSING,
        S.CONTAINING,
        S.INVESTIGATING,
        S.REMEDIATING,
        S.RECOVERING,
        S.RESOLVED,
    ),
    S.ASSESSING: (S.CONTAINING, S.INVESTIGATING, S.REMEDIATING, S.RECOVERING, S.RESOLVED),
    S.CONTAINING: (S.INVESTIGATING, S.REMEDIATING, S.RECOVERING, S.RESOLVED),
    S.INVESTIGATING: (S.CONTAINING, S.REMEDIATING, S.RECOVERING, S.RESOLVED),
    S.REMEDIATING: (S.INVESTIGATING, S.RECOVERING, S.RESOLVED),
    S.RECOVERING: (S.INVESTIGATING, S.REMEDIATING, S.RESOLVED),
    S.RESOLVED: (S.INVESTIGATING, S.CLOSED),
    S.CLOSED: (S.INVESTIGATING,),
}
"""Where an incident may go from each status; to leave resolved or closed is to reopen."""

Story = tuple[TimelineEntry, ...]


def transition(
    incident: Incident, status: IncidentStatus, *, at: datetime, by: str, note: str = ""
) -> tuple[Incident, Story]:
    """Move an incident to another status.

    Raises:
        TransitionError: it may not go there from where it is.
        ValueError: the instant has no time zone.
    """
    _aware(at)
    allowed = TRANSITIONS[incident.status]
    if status not in allowed:
        raise TransitionError(current=incident.status, wanted=status, allowed=allowed)
    reopened = not incident.active and status.active
    changes: dict[str, Any] = {"status": status}
    if reopened:
        changes |= {"resolved_at": None, "closed_at": None}
    changes[f"{status}_at"] = at
    word = "reopened" if reopened else "status"
    text = f"{incident.status} → {status}" + (f": {note}" if note else "")
    return incident.model_copy(update=changes), (
        TimelineEntry(at=at, kind=word, source=by, text=text, data={"status": status.value}),
    )


def reopen(incident: Incident, *, at: datetime, by: str, note: str = "") -> tuple[Incident, Story]:
    """Take up a resolved or closed incident again.

    Raises:
        TransitionError: it is still active.
    """
    if incident.active:
        raise TransitionError(current=incident.status, wanted="reopened", allowed=())
    return transition(incident, S.INVESTIGATING, at=at, by=by, note=note)


def acknowledge(incident: Incident, *, at: datetime, by: str) -> tuple[Incident, Story]:
    """Note that somebody has taken notice; a second acknowledgement changes nothing."""
    _aware(at)
    if incident.acknowledged_at is not None:
        return incident, ()
    changed = incident.model_copy(update={"acknowledged_at": at, "acknowledged_by": by})
    return changed, (
        TimelineEntry(at=at, kind="acknowledged", source=by, text=f"acknowledged by {by}"),
    )


def open_incident(
    detection: Detection, events: Sequence[IncidentEvent], *, stream: str = "main"
) -> tuple[Incident, Story]:
    """Open the incident that a detection calls for.

    Its id follows from the detection's, so that the same input opens the same incident; in another
    stream it is another one.
    """
    seed = detection.detection_id if stream == "main" else f"{stream}:{detection.detection_id}"
    digest = hashlib.sha256(seed.encode()).hexdigest()
    incident = Incident(
        id=f"inc_{digest[:16]}",
        type=detection.incident_type,
        severity=detection.severity,
        title=detection.title,
        description=detection.description,
        detected_at=detection.detected_at,
        first_event_at=detection.first_event_at,
        rule_id=detection.rule_id,
        group=detection.group,
        affected_components=detection.components,
        event_count=len(detection.event_ids),
        detection_count=1,
        correlation_ids=detection.correlation_ids,
        recommended_actions=detection.recommend,
    )
    return incident, (
        *_event_entries(events),
        _detection_entry(detection, f"detected: {detection.title}", "opens an incident of its own"),
    )


def join(
    incident: Incident,
    detection: Detection,
    events: Sequence[IncidentEvent],
    *,
    new_events: int,
    reason: str,
) -> tuple[Incident, Story]:
    """Add a detection to an active incident.

    Args:
        incident: where it belongs.
        detection: what is added.
        events: the events that the incident does not show yet.
        new_events: how many of the detection's events are not counted yet.
        reason: why it belongs here, for people.
    """
    changed = incident.model_copy(
        update={
            "severity": max(incident.severity, detection.severity, key=lambda s: s.rank),
            "first_event_at": min(incident.first_event_at, detection.first_event_at),
            "affected_components": _union(incident.affected_components, detection.components),
            "correlation_ids": _union(incident.correlation_ids, detection.correlation_ids),
            "recommended_actions": tuple(
                dict.fromkeys((*incident.recommended_actions, *detection.recommend))
            ),
            "event_count": incident.event_count + new_events,
            "detection_count": incident.detection_count + 1,
            "cleared_at": None,
        }
    )
    story = [*_event_entries(events), _detection_entry(detection, detection.title, reason)]
    if changed.severity != incident.severity:
        story.append(_severity_entry(incident, changed, detection.detected_at, detection.rule_id))
    return changed, tuple(story)


def escalate(incident: Incident, escalation: Escalation) -> tuple[Incident, Story]:
    """Raise the severity; it never falls by itself."""
    if escalation.severity <= incident.severity:
        return incident, ()
    changed = incident.model_copy(update={"severity": escalation.severity})
    return changed, (_severity_entry(incident, changed, escalation.at, escalation.rule_id),)


def clear(incident: Incident, cleared: Cleared, *, last: bool) -> tuple[Incident, Story]:
    """Note that a condition is over; `last` says that none is on any more."""
    changed = incident.model_copy(update={"cleared_at": cleared.at}) if last else incident
    text = "condition over" if last else "condition over, another still holds"
    return changed, (
        TimelineEntry(at=cleared.at, kind="cleared", source=cleared.rule_id, text=text),
    )


def _aware(at: datetime) -> None:
    if at.tzinfo is None:
        raise ValueError(f"expected an instant with a time zone, found {at.isoformat()}")


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))


def _event_entries(events: Sequence[IncidentEvent]) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=event.timestamp,
            kind="event",
            source=event.source,
            text=event.message or event.event_type,
            data={"event_id": event.event_id, "event_type": event.event_type},
        )
        for event in events
    ]


def _detection_entry(detection: Detection, text: str, reason: str) -> TimelineEntry:
    return TimelineEntry(
        at=detection.detected_at,
        kind="detection",
        source=detection.rule_id,
        text=text,
        data={
            "detection_id": detection.detection_id,
            "group": dict(detection.group),
            "values": dict(detection.values),
            "reason": reason,
            "after_first_event": format_duration(
                (detection.detected_at - detection.first_event_at) // MICROSECOND
            ),
        },
    )


def _severity_entry(before: Incident, after: Incident, at: datetime, source: str) -> TimelineEntry:
    text = f"severity {before.severity} → {after.severity}"
    return TimelineEntry(at=at, kind="escalation", source=source, text=text)
