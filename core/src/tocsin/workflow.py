"""Walks an incident through the stages of the response, recording what each of them finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from tocsin import incidents
from tocsin.calls import Calls
from tocsin.clock import Clock
from tocsin.errors import describe
from tocsin.models import Incident, IncidentStatus, TimelineEntry

S = IncidentStatus
STAGES = (S.ASSESSING, S.CONTAINING, S.INVESTIGATING, S.REMEDIATING, S.RECOVERING)
"""The stages in their order; then the incident is resolved."""

HealthCheck = Callable[[], bool | Awaitable[bool]]
"""Says whether a component is well; `def` runs in a worker thread, `async def` on the loop."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What an incident waits for before it counts as recovered; spans in seconds."""

    quiet_for: float
    check_every: float
    give_up_after: float


class Desk(Protocol):
    """Where an incident is worked on: the store, seen by the workflow."""

    async def current(self, incident_id: str) -> Incident:
        """Read an incident whole, as it is now."""
        ...

    def last_seen(self, incident: Incident) -> datetime | None:
        """Give when the incident's rule last matched an event of its group, if that is known."""
        ...

    async def record(
        self,
        incident_id: str,
        change: Callable[[Incident], tuple[Incident, tuple[TimelineEntry, ...]]],
        what: str,
    ) -> Incident:
        """Apply a change to the incident as it is now, store it, and tell of it."""
        ...


class Workflow:
    """The response to one incident at a time; several may run side by side."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        calls: Calls,
        recovery: Recovery,
        checks: Mapping[str, HealthCheck],
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._calls = calls
        self._recovery = recovery
        self._checks = checks

    async def process(self, incident_id: str) -> Incident:
        """Take an incident from where it stands to resolved.

        Returns:
            The incident, resolved; or investigating again, where health or quiet did not come in
            the time that the settings allow.
        """
        incident = await self._desk.current(incident_id)
        while incident.active:
            stage = _next(incident.status)
            if stage is S.RESOLVED:
                problem = await self._recover(incident)
                if problem:
                    return await self._go_back(incident_id, problem)
            incident = await self._enter(incident, stage)
        return await self._desk.current(incident_id)

    async def _enter(self, incident: Incident, stage: IncidentStatus) -> Incident:
        found = await self._desk.current(incident.id)
        at = self._clock.now()
        cause = root_cause(found) if stage is S.INVESTIGATING else None
        note = _note(stage, found, cause)

        def change(now: Incident) -> tuple[Incident, tuple[TimelineEntry, ...]]:
            moved, story = incidents.transition(
                now, stage, at=_after(now, at), by="workflow", note=note
            )
            return (moved.model_copy(update={"root_cause": cause}) if cause else moved), story

        return await self._desk.record(incident.id, change, stage.value)

    async def _go_back(self, incident_id: str, problem: str) -> Incident:
        at = self._clock.now()
        await self._desk.record(
            incident_id,
            lambda now: incidents.transition(
                now, S.INVESTIGATING, at=at, by="workflow", note=problem
            ),
            S.INVESTIGATING.value,
        )
        return await self._desk.current(incident_id)

    async def _recover(self, incident: Incident) -> str:
        """Wait for what is configured; gives what is missing in the end, or an empty text."""
        give_up = self._clock.now() + timedelta(seconds=self._recovery.give_up_after)
        while True:
            problem = await self._missing(incident)
            if not problem:
                return ""
            if self._clock.now() >= give_up:
                return f"not recovered: {problem}"
            await self._clock.sleep(self._recovery.check_every)

    async def _missing(self, incident: Incident) -> str:
        for component in incident.affected_components:
            check = self._checks.get(component)
            if check is None:
                continue
            try:
                healthy = await self._calls.run(check)
            except Exception as error:  # noqa: BLE001 - a check that fails says that it is not well
                return f"the health check of {component} fails: {describe(error)}"
            if not healthy:
                return f"{component} is not healthy"
        if self._recovery.quiet_for:
            newest = _newest(await self._desk.current(incident.id), self._desk.last_seen(incident))
            if (self._clock.now() - newest).total_seconds() < self._recovery.quiet_for:
                return f"not quiet for {self._recovery.quiet_for:g} s yet"
        return ""


def _next(status: IncidentStatus) -> IncidentStatus:
    """Name the stage that follows; an incident that was reopened goes on from investigating."""
    if status is S.DETECTED:
        return STAGES[0]
    following = STAGES.index(status) + 1
    return STAGES[following] if following < len(STAGES) else S.RESOLVED


def _after(incident: Incident, at: datetime) -> datetime:
    """Keep the story in order: events may lie ahead of this machine's clock."""
    return max(at, incident.detected_at)


def _newest(incident: Incident, seen: datetime | None) -> datetime:
    told = [entry.at for entry in incident.timeline if entry.kind in ("event", "detection")]
    return max([incident.detected_at, *told, *([seen] if seen is not None else [])])


def root_cause(incident: Incident) -> dict[str, Any] | None:
    """Find the most frequent type and source among the events that are kept, with the counts."""
    if not incident.events:
        return None
    types = Counter(event.event_type for event in incident.events)
    sources = Counter(event.source for event in incident.events)
    return {
        "primary_event_type": _most(types),
        "primary_source": _most(sources),
        "event_types": dict(sorted(types.items())),
        "sources": dict(sorted(sources.items())),
        "events": len(incident.events),
    }


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def _note(stage: IncidentStatus, incident: Incident, cause: Mapping[str, Any] | None) -> str:
    match stage:
        case S.ASSESSING:
            components = ", ".join(incident.affected_components) or "none named"
            return f"{incident.severity}; {incident.event_count} events; components: {components}"
        case S.CONTAINING | S.REMEDIATING:
            actions = ", ".join(incident.recommended_actions) or "none"
            return f"recommended actions: {actions}; none is carried out by this version"
        case S.INVESTIGATING if cause is not None:
            return (
                f"mostly {cause['primary_event_type']} from {cause['primary_source']}"
                f" ({cause['events']} events looked at)"
            )
        case _:
            return ""
