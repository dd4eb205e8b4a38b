"""Figures about incidents, kept up to date with every change so that asking costs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from tocsin.models import Incident


class IncidentStatistics:
    """Counts and mean durations over all incidents of a stream."""

    def __init__(self) -> None:
        self._status: Counter[str] = Counter()
        self._severity: Counter[str] = Counter()
        self._type: Counter[str] = Counter()
        self._active = 0
        self._sums: dict[str, float] = {"mttd": 0.0, "mtta": 0.0, "mttr": 0.0}
        self._counts: Counter[str] = Counter()

    def load(self, incidents: Iterable[Incident]) -> None:
        """Start from what is stored."""
        for incident in incidents:
            self.replace(None, incident)

    def replace(self, before: Incident | None, after: Incident) -> None:
        """Count an incident as it is now instead of as it was."""
        if before is not None:
            self._count(before, -1)
        self._count(after, 1)

    def _count(self, incident: Incident, sign: int) -> None:
        self._status[incident.status.value] += sign
        self._severity[incident.severity.value] += sign
        self._type[incident.type] += sign
        self._active += sign if incident.active else 0
        durations: dict[str, timedelta | None] = {
            "mttd": incident.mttd(),
            "mtta": incident.mtta(),
            "mttr": incident.mttr(),
        }
        for name, duration in durations.items():
            if duration is not None:
                self._sums[name] += sign * duration.total_seconds()
                self._counts[name] += sign

    def summary(self) -> dict[str, Any]:
        """Give the figures; durations are means in seconds, None where there is nothing to mean."""
        means = {
            name: self._sums[name] / self._counts[name] if self._counts[name] else None
            for name in self._sums
        }
        return {
            "total_incidents": sum(self._status.values()),
            "active_incidents": self._active,
            "resolved_incidents": self._status["resolved"] + self._status["closed"],
            "by_status": _positive(self._status),
            "by_severity": _positive(self._severity),
            "by_type": _positive(self._type),
            "mttd_seconds": means["mttd"],
            "mtta_seconds": means["mtta"],
            "mttr_seconds": means["mttr"],
        }


def _positive(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count > 0}


_GOING_ON = {
    "events": ("accepted", "duplicates", "evaluated", "late", "quarantined"),
    "engine": ("groups_let_go", "window_events_let_go", "worker_replacements"),
    "notifications": ("sent", "failed"),
}
_OF_SOURCE = ("events", "skipped", "restarts")


def with_earlier(figures: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Add to what this manager has counted what those before it had.

    Args:
        figures: what `get_statistics` gives.
        earlier: the same of before, as it was stored.
    """
    whole = dict(figures)
    for section, names in _GOING_ON.items():
        whole[section] = _added(figures[section], earlier.get(section, {}), names)
    before = earlier.get("sources", {})
    whole["sources"] = {
        name: _added(counts, before.get(name, {}), _OF_SOURCE)
        for name, counts in figures["sources"].items()
    }
    return whole


def _added(
    counts: Mapping[str, Any], earlier: Mapping[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    return {**counts, **{name: counts[name] + earlier.get(name, 0) for name in names}}
