"""Builds a manager's parts from its settings; what was opened is closed in the opposite order."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.calls import Calls
from tocsin.capabilities import Source, SourceContext
from tocsin.clock import Clock
from tocsin.correlation import Change, Correlation
from tocsin.evaluation import Evaluation, opened_before
from tocsin.intake import Intake
from tocsin.models import Signal
from tocsin.notification import Notifications
from tocsin.plugins import Announcements, Plugins
from tocsin.rules.engine import Engine
from tocsin.rules.groups import Bounds
from tocsin.rules.matcher import InlineMatcher, Matcher
from tocsin.rules.worker import WorkerMatcher
from tocsin.selection import Selection, load_plugins, select_rules, select_rulesets
from tocsin.settings import DetectionSettings, Loaded, Settings
from tocsin.sources import SourceStatus
from tocsin.statistics import IncidentStatistics, with_earlier
from tocsin.store.database import Database, database_url, open_database
from tocsin.store.journal import Horizon, Journal
from tocsin.store.ownership import Ownership
from tocsin.store.queries import (
    IncidentFilter,
    active_incidents,
    get_detections,
    list_incidents,
    stored_rule_changes,
)
from tocsin.store.results import Results

Note = Callable[[Sequence[Change]], None]
Tell = Callable[[Sequence[Change], Sequence[Signal]], Awaitable[None]]


@dataclass(slots=True)
class Parts:
    """The parts of a running manager."""

    plugins: Plugins
    calls: Calls
    database: Database
    journal: Journal
    results: Results
    engine: Engine
    matcher: Matcher
    correlation: Correlation
    evaluation: Evaluation
    intake: Intake
    notifications: Notifications
    announcements: Announcements
    sources: dict[str, Callable[[SourceContext], Source]]
    incident_statistics: IncidentStatistics
    closing: contextlib.AsyncExitStack
    source_status: dict[str, SourceStatus] = field(default_factory=dict)

    async def close(self) -> None:
        """Close everything."""
        await self.closing.aclose()

    async def take_up_time(self) -> None:
        """Let the event time go on from where the journal ends."""
        last = await self.journal.read(self.journal.position - 1, limit=1)
        if last:
            self.intake.start_at(last[0].max_time, last[0].accepted_at)

    def statistics(self) -> dict[str, Any]:
        """Give all figures."""
        counted = self.engine.statistics
        return {
            **self.incident_statistics.summary(),
            "events": {
                "accepted": self.intake.accepted,
                "duplicates": self.intake.duplicates,
                "evaluated": counted.events,
                "waiting": self.intake.waiting + self.evaluation.backlog,
                "late": counted.late,
                "quarantined": counted.quarantined,
            },
            "engine": {
                "rules": len(self.engine.rules),
                "groups": self.engine.groups,
                "groups_let_go": counted.let_go.groups,
                "window_events_let_go": counted.let_go.events,
                "worker_replacements": getattr(self.matcher, "respawns", 0),
                "problem": self.evaluation.problem,
                "failed_detectors": dict(counted.failed_detectors),
            },
            "notifications": {
                "sent": self.notifications.sent,
                "failed": self.notifications.failed,
            },
            "announcements": {"dropped": self.announcements.dropped},
            "sources": {
                name: {
                    "events": status.events,
                    "skipped": status.skipped,
                    "restarts": status.restarts,
                    "reports": list(status.reports),
                }
                for name, status in self.source_status.items()
            },
        }


async def assemble(
    loaded: Loaded, clock: Clock, extra_plugins: Iterable[object], *, note: Note, tell: Tell
) -> Parts:
    """Build and open everything that a manager needs.

    Raises:
        TocsinError: something cannot be used; what was opened is closed again.
    """
    settings = loaded.settings
    detection = settings.incident_response.detection
    async with contextlib.AsyncExitStack() as stack:
        calls = Calls()
        stack.push_async_callback(calls.close)
        # In a thread: importing plugins and reading files would hold up the host's loop.
        plugins = await calls.run(load_plugins, loaded, extra_plugins, calls)
        rulesets = await calls.run(select_rulesets, loaded, plugins)
        selection = Selection(loaded, plugins)
        channels, sources = selection.channels(), selection.sources()
        detectors, correlators = selection.detectors(), selection.correlators()
        selection.check()
        database = await open_database(database_url(settings.database, directory=loaded.directory))
        stack.push_async_callback(database.close)
        ownership = Ownership(database, settings.stream)
        await ownership.acquire()
        stack.push_async_callback(ownership.release)
        rules = select_rules(loaded, rulesets, await stored_rule_changes(database))
        engine = Engine(
            rules if settings.incident_response.enabled else (),
            allowed_lateness=detection.allowed_lateness,
            bounds=Bounds(detection.max_groups, detection.max_window_events),
            detectors=detectors,
        )
        matcher = _matcher(engine, detection)
        stack.push_async_callback(matcher.close)
        journal = await open_journal(database, settings)
        results = Results(database, settings.stream)
        checkpoint = await results.checkpoint()
        earlier = checkpoint.statistics if checkpoint is not None else {}
        correlation = Correlation(correlators, stream=settings.stream)
        await _restore(correlation, database, settings.stream)
        incident_statistics = IncidentStatistics()
        known = await list_incidents(database, IncidentFilter(stream=settings.stream))
        incident_statistics.load(known)
        parts: Parts

        evaluation = Evaluation(
            engine=engine,
            matcher=matcher,
            correlation=correlation,
            journal=journal,
            results=results,
            clock=clock,
            evidence_events=detection.evidence_events,
            statistics=lambda: with_earlier(parts.statistics(), earlier),
            note=note,
            tell=tell,
        )
        intake = Intake(
            journal,
            clock,
            deliver=evaluation.deliver,
            backlog=lambda: evaluation.backlog,
            next_due=engine.next_due,
            queue_size=detection.queue_size,
            idle_after=detection.idle_after,
        )
        evaluation.on_progress = intake.make_room
        parts = Parts(
            plugins=plugins,
            calls=calls,
            database=database,
            journal=journal,
            results=results,
            engine=engine,
            matcher=matcher,
            correlation=correlation,
            evaluation=evaluation,
            intake=intake,
            notifications=Notifications(channels, calls, clock, loaded.secrets),
            announcements=Announcements(plugins),
            sources=sources,
            incident_statistics=incident_statistics,
            closing=stack.pop_all(),
            source_status={name: SourceStatus(secrets=loaded.secrets) for name in sources},
        )
    return parts


def _matcher(engine: Engine, detection: DetectionSettings) -> Matcher:
    if detection.isolation == "inline":
        return InlineMatcher(engine.program)
    return WorkerMatcher(engine.program, deadline=detection.worker_deadline)


async def open_journal(database: Database, settings: Settings) -> Journal:
    """Open the journal that the settings name."""
    detection = settings.incident_response.detection
    journal = Journal(
        database,
        settings.stream,
        horizon=Horizon(detection.deduplication.ids, detection.deduplication.within),
        max_ahead=detection.max_ahead,
        max_event_bytes=detection.max_event_bytes,
    )
    await journal.open()
    return journal


async def _restore(correlation: Correlation, database: Database, stream: str) -> None:
    rows = await active_incidents(database, stream)
    latest = [tracking.get("latest", "") for _, tracking in rows]
    correlation.restore(opened_before(rows, await get_detections(database, stream, latest)))
