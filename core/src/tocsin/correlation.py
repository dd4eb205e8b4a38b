"""Decides which incident each signal belongs to. Pure: it asks correlators and touches no world."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tocsin import incidents
from tocsin.capabilities import Correlator, Placement
from tocsin.models import (
    Cleared,
    Detection,
    Escalation,
    Incident,
    IncidentEvent,
    Quarantined,
    Signal,
    TimelineEntry,
)

_log = logging.getLogger(__name__)
_NO_TRACKING: Mapping[str, Any] = {"keys": [], "on": [], "shown": 0, "latest": ""}
MAX_SHOWN_EVENTS = 200
"""Events that an incident shows whole; it counts all of them."""

Key = tuple[str, str]
"""A rule and a group."""


@dataclass(slots=True)
class Change:
    """One change of one incident, to be stored and told."""

    incident: Incident
    what: str
    """`opened`, `joined`, `escalated`, `cleared`, or the name of a status."""
    at: datetime
    """When it happened, in event time where events caused it."""
    story: tuple[TimelineEntry, ...] = ()
    detection: Detection | None = None
    events: tuple[IncidentEvent, ...] = ()
    before: Incident | None = None
    """The incident as it was; None where it was opened."""


@dataclass(slots=True)
class OpenIncident:
    """An active incident, and what the placing of further signals needs to know of it."""

    incident: Incident
    keys: set[Key] = field(default_factory=set)
    """The rules and groups whose detections it holds."""
    on: set[Key] = field(default_factory=set)
    """Those whose condition is not over yet."""
    counted: frozenset[str] = frozenset()
    """The events of the latest detection: windows overlap, and each event counts once."""
    shown: int = 0
    """How many of its events are shown whole."""
    latest: str = ""
    """The id of the latest detection."""

    def tracking(self) -> dict[str, Any]:
        """Give, as JSON, what is stored beside the incident."""
        return {
            "keys": sorted(self.keys),
            "on": sorted(self.on),
            "shown": self.shown,
            "latest": self.latest,
        }

    @classmethod
    def restored(
        cls, incident: Incident, tracking: Mapping[str, Any], counted: Iterable[str]
    ) -> OpenIncident:
        """Take what was stored; `counted` are the events of the latest detection."""
        keys, on = ({(rule, group) for rule, group in tracking[name]} for name in ("keys", "on"))
        shown, latest = tracking["shown"], tracking["latest"]
        return cls(incident, keys, on, frozenset(counted), shown, latest)


class Correlation:
    """The active incidents, and the placing of signals into them."""

    def __init__(
        self, correlators: Mapping[str, Correlator] | None = None, *, stream: str = "main"
    ) -> None:
        """Begin with no active incident.

        Args:
            correlators: whom to ask where a detection belongs, by name.
            stream: the journal's stream; incidents of different streams have different ids.
        """
        self._stream = stream
        self._correlators = dict(sorted((correlators or {}).items()))
        self._open: OrderedDict[str, OpenIncident] = OrderedDict()
        self._by_key: dict[Key, str] = {}

    def __len__(self) -> int:
        return len(self._open)

    def restore(self, items: Iterable[OpenIncident]) -> None:
        """Take the active incidents of the store, oldest first."""
        for item in items:
            self._add(item)

    def active(self) -> list[Incident]:
        """List the active incidents, oldest first."""
        return [item.incident for item in self._open.values()]

    def get(self, incident_id: str) -> Incident | None:
        """Give an active incident."""
        item = self._open.get(incident_id)
        return item.incident if item else None

    def tracking(self, incident_id: str) -> dict[str, Any]:
        """Give, as JSON, what is stored beside an incident."""
        item = self._open.get(incident_id)
        return item.tracking() if item is not None else dict(_NO_TRACKING)

    def update(self, incident: Incident) -> None:
        """Take a change that was made elsewhere; one that is no longer active takes nothing in."""
        item = self._open.get(incident.id)
        if incident.active:
            if item is None:
                self._add(OpenIncident(incident, {(incident.rule_id, _text(incident.group))}))
            else:
                item.incident = incident
        elif item is not None:
            del self._open[incident.id]
            for key in item.keys:
                if self._by_key.get(key) == incident.id:
                    del self._by_key[key]

    def _add(self, item: OpenIncident) -> None:
        self._open[item.incident.id] = item
        for key in item.keys:
            self._by_key[key] = item.incident.id

    def apply(self, signals: Sequence[Signal], events: Mapping[str, IncidentEvent]) -> list[Change]:
        """Place signals, in order.

        Args:
            signals: what the engine said.
            events: the recent events that may be shown, by id.
        """
        changes: list[Change] = []
        for signal in signals:
            if isinstance(signal, Quarantined):
                continue
            change = self._place(signal, events)
            if change is not None:
                changes.append(change)
        return changes

    def _place(self, signal: Signal, events: Mapping[str, IncidentEvent]) -> Change | None:
        if isinstance(signal, Detection):
            return self._detected(signal, events)
        if isinstance(signal, Quarantined):
            return None
        key = (signal.rule_id, _text(signal.group))
        item = self._open.get(self._by_key.get(key, ""))
        if item is None:
            return None
        if isinstance(signal, Escalation):
            before = item.incident
            item.incident, story = incidents.escalate(before, signal)
            change = Change(item.incident, "escalated", signal.at, story, before=before)
            return change if story else None
        return self._cleared(item, key, signal)

    def _cleared(self, item: OpenIncident, key: Key, signal: Cleared) -> Change:
        item.on.discard(key)
        before = item.incident
        item.incident, story = incidents.clear(before, signal, last=not item.on)
        what = "condition_over" if item.on else "cleared"
        return Change(item.incident, what, signal.at, story, before=before)

    def _detected(self, detection: Detection, events: Mapping[str, IncidentEvent]) -> Change:
        key = (detection.rule_id, _text(detection.group))
        placement = self._choose(detection, key)
        item = self._open.get(placement.incident_id) if placement else None
        ids = frozenset(detection.event_ids)
        if item is None or placement is None:
            shown = _shown(detection, events, MAX_SHOWN_EVENTS)
            incident, story = incidents.open_incident(detection, shown, stream=self._stream)
            latest = detection.detection_id
            self._add(OpenIncident(incident, {key}, {key}, ids, len(shown), latest))
            return Change(incident, "opened", detection.detected_at, story, detection, shown)
        new = ids - item.counted
        shown = tuple(
            event
            for event in _shown(detection, events, MAX_SHOWN_EVENTS - item.shown)
            if event.event_id in new
        )
        before = item.incident
        incident, story = incidents.join(
            before, detection, shown, new_events=len(new), reason=placement.reason
        )
        item.incident, item.counted, item.shown = incident, ids, item.shown + len(shown)
        item.latest = detection.detection_id
        item.keys.add(key)
        item.on.add(key)
        self._by_key[key] = incident.id
        at = detection.detected_at
        return Change(incident, "joined", at, story, detection, shown, before)

    def _choose(self, detection: Detection, key: Key) -> Placement | None:
        """Take the placement with the highest score; the same rule and group is certain."""
        known = self._by_key.get(key)
        if known is not None:
            return Placement(known, 1.0, "same rule and group")
        if not self._correlators:
            return None
        active = self.active()
        placements: list[Placement] = []
        for name, correlator in self._correlators.items():
            try:
                placement = correlator.place(detection, active)
            except Exception:  # noqa: BLE001 - a plugin may fail in any way; others are asked
                _log.exception("correlator %r failed; its opinion is left out", name)
                continue
            if placement is not None and placement.incident_id in self._open:
                placements.append(placement)
        return min(placements, key=lambda p: (-p.score, p.incident_id), default=None)


def _shown(
    detection: Detection, events: Mapping[str, IncidentEvent], most: int
) -> tuple[IncidentEvent, ...]:
    """Take the newest of a detection's events that are still at hand, oldest first."""
    if most <= 0:
        return ()
    found = [events[event_id] for event_id in detection.event_ids if event_id in events]
    return tuple(found[-most:])


def _text(group: Mapping[str, object]) -> str:
    return "\x1f".join(f"{name}={value!r}" for name, value in sorted(group.items()))
