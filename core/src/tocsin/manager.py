"""The facade for hosts: events in, incidents out, inside an event loop that is not ours."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from tocsin.assembly import Parts, assemble
from tocsin.clock import Clock, SystemClock
from tocsin.correlation import Change
from tocsin.desk import ManagerDesk
from tocsin.errors import StoreError, TocsinError
from tocsin.models import Detection, Incident, IncidentEvent, Signal
from tocsin.retention import run_retention
from tocsin.settings import Loaded, Settings, load_settings
from tocsin.sources import run_source
from tocsin.store.queries import get_incident
from tocsin.workflow import HealthCheck, Recovery, Workflow

_log = logging.getLogger(__name__)
_STOP_SECONDS = 10.0


class IncidentManager:
    """Takes events, applies rules, opens incidents and keeps them.

    Use it as an async context manager, or call `start` and `stop`. Several may live in one process,
    each with a database or a stream of its own. It starts no threads but those of its database
    driver and of plugins' blocking functions, installs no signal handler, configures no logging.
    """

    def __init__(
        self,
        config: Settings | Loaded | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        clock: Clock | None = None,
        plugins: Iterable[object] = (),
        run_sources: bool = True,
    ) -> None:
        """Read the settings; nothing is opened before `start`.

        Args:
            config: settings, a mapping of the same form as tocsin.yaml, or the path of such a file.
            clock: tells the time; otherwise the machine's.
            plugins: modules or objects with hook implementations, besides the installed plugins.
            run_sources: whether the configured sources are run.

        Raises:
            ConfigError: the settings are wrong; all mistakes at once.
        """
        self._loaded = config if isinstance(config, Loaded) else load_settings(config)
        self._clock = clock or SystemClock()
        self._extra_plugins = tuple(plugins)
        self._run_sources = run_sources
        self._parts: Parts | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._new: list[str] = []
        self._checks: dict[str, HealthCheck] = {}
        self._processing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failure: BaseException | None = None

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the database, recover, and begin to evaluate.

        Raises:
            ConfigError: the settings name something that does not exist.
            RulesetError: a ruleset has mistakes.
            PluginError: a plugin that is needed does not work.
            StoreError: the database cannot be used, or another process evaluates the stream.
        """
        if self._parts is not None:
            raise TocsinError("the manager has already been started")
        parts = await assemble(
            self._loaded, self._clock, self._extra_plugins, note=self._note, tell=self._tell
        )
        self._parts, self._failure, self._new = parts, None, []
        try:
            self._begin("notifications", parts.notifications.run())
            self._begin("announcements", parts.announcements.run())
            await parts.evaluation.recover()
            await parts.take_up_time()
            self._begin("evaluation", parts.evaluation.run())
            self._begin("intake", parts.intake.run())
            detection = self._loaded.settings.incident_response.detection
            retention = run_retention(
                parts.journal,
                parts.results,
                parts.engine,
                self._clock,
                retention_seconds=detection.event_retention_seconds,
            )
            self._begin("retention", retention)
            for name, make in parts.sources.items() if self._run_sources else ():
                run = run_source(
                    name,
                    make,
                    clock=self._clock,
                    directory=self._loaded.directory,
                    cursor=parts.journal.cursor,
                    submit=parts.intake.submit,
                    status=parts.source_status[name],
                    run=parts.calls.run,
                )
                self._begin(f"source {name}", run)
        except BaseException:
            await self._tear_down()
            raise
        await parts.plugins.announce("tocsin_started", stream=self._loaded.settings.stream)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"tocsin {name}")
        task.add_done_callback(self._ended)
        self._tasks[name] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            # What we raise ourselves says what is wrong; anything else is a mistake of ours.
            trace = None if isinstance(error, TocsinError) else error
            _log.error("%s has failed and stops: %s", task.get_name(), error, exc_info=trace)

    async def stop(self, deadline: float = _STOP_SECONDS) -> None:
        """Finish what was accepted, then let go of everything.

        Args:
            deadline: seconds after which what is not finished is left for the next start; what was
                accepted is in the journal and not lost.
        """
        parts = self._parts
        if parts is None:
            return
        try:
            async with asyncio.timeout(deadline):
                await self._cancel(*(name for name in self._tasks if name.startswith("source ")))
                await parts.intake.close()
                await self._finish("intake")
                await parts.evaluation.close()
                await self._finish("evaluation")
                await parts.plugins.announce("tocsin_stopping", stream=self._loaded.settings.stream)
                await parts.announcements.drained()
                await parts.notifications.drained()
        except TimeoutError:
            _log.warning("stopped after %g s with work left for the next start", deadline)
        finally:
            await self._tear_down()

    async def _finish(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is not None:
            await asyncio.wait([task])

    async def _cancel(self, *names: str) -> None:
        tasks = [self._tasks[name] for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _tear_down(self) -> None:
        parts, self._parts = self._parts, None
        await self._cancel(*self._tasks)
        self._tasks = {}
        if parts is not None:
            await parts.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def wait_failed_or(self, stop: asyncio.Event) -> None:
        """Wait until an event is set.

        Raises:
            TocsinError: the manager failed first.
        """
        waiting = asyncio.create_task(stop.wait())
        try:
            work = [task for name, task in self._tasks.items() if not name.startswith("source ")]
            await asyncio.wait([waiting, *work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        self._needed()

    @property
    def running(self) -> bool:
        """Whether events are accepted and evaluated."""
        return self._parts is not None and self._failure is None

    def _needed(self) -> Parts:
        if self._parts is None:
            raise TocsinError(
                "the manager is not running; write `async with IncidentManager(config) as manager:`"
                " or `await manager.start()` first"
            )
        if self._failure is not None:
            raise TocsinError(f"the manager has failed: {self._failure}") from self._failure
        return self._parts

    # -- events -------------------------------------------------------------------------------

    async def submit_event(self, event: IncidentEvent) -> bool:
        """Accept an event; when this returns, it is durable.

        Returns:
            Whether the event is new: one whose id was accepted before is left out.

        Raises:
            EventError: it is too large.
            StoreError: it could not be stored.
        """
        return await self._needed().intake.submit((event,)) == 1

    async def submit_events(self, events: Sequence[IncidentEvent]) -> int:
        """Accept events together; when this returns, they are durable.

        Returns:
            How many of them are new.

        Raises:
            EventError: one is too large; none is stored.
            StoreError: they could not be stored.
        """
        return await self._needed().intake.submit(tuple(events)) if events else 0

    # -- incidents ----------------------------------------------------------------------------

    async def check_for_incidents(self) -> list[Incident]:
        """Wait until all that was submitted before is evaluated.

        Returns:
            The incidents opened since the last call, oldest first.
        """
        parts = self._needed()
        position = await parts.intake.settled()
        await self._or_fail(parts.evaluation.reached(position))
        opened, self._new = self._new, []
        found = [await get_incident(parts.database, incident_id) for incident_id in opened]
        return [incident for incident in found if incident is not None]

    async def _or_fail(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something, but not when what it waits for has failed."""
        waiting = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                [waiting, self._tasks["evaluation"]], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not waiting.done():
                waiting.cancel()
        self._needed()
        if not waiting.done() or waiting.cancelled():
            raise StoreError("the manager stopped before the events were evaluated")

    async def get_incident(self, incident_id: str) -> Incident:
        """Read an incident whole.

        Raises:
            LookupError: there is no such incident.
        """
        incident = await get_incident(self._needed().database, incident_id)
        if incident is None:
            raise LookupError(f"there is no incident {incident_id!r}")
        return incident

    async def process_incident(self, incident: Incident | str) -> Incident:
        """Walk an incident through the stages of the response.

        Returns:
            The incident, resolved; or investigating again where it did not recover in time.

        Raises:
            LookupError: there is no such incident.
        """
        parts = self._needed()
        response = self._loaded.settings.incident_response.response
        recovery = Recovery(
            response.quiet_for / 1_000_000, response.check_every, response.give_up_after
        )
        desk = ManagerDesk(self._needed, self._clock, read=self.get_incident, stored=self._stored)
        workflow = Workflow(desk, self._clock, parts.calls, recovery, self._checks)
        incident_id = incident if isinstance(incident, str) else incident.id
        # One at a time: whoever comes second finds the work done.
        async with self._processing.setdefault(incident_id, asyncio.Lock()):
            return await workflow.process(incident_id)

    def add_health_check(self, component: str, check: HealthCheck) -> None:
        """Have a component's health asked for before an incident of it counts as recovered."""
        self._checks[component] = check

    def get_statistics(self) -> dict[str, Any]:
        """Give figures about incidents and about the work itself; answers at once."""
        return self._needed().statistics()

    # -- changes ------------------------------------------------------------------------------

    def _note(self, changes: Sequence[Change]) -> None:
        """Count what has just been stored."""
        for change in changes:
            if change.what == "opened":
                self._new.append(change.incident.id)
            if self._parts is not None:
                self._parts.incident_statistics.replace(change.before, change.incident)

    async def _stored(self, changes: Sequence[Change]) -> None:
        self._note(changes)
        await self._tell(changes, [])

    async def _tell(self, changes: Sequence[Change], signals: Sequence[Signal]) -> None:
        """Queue what has just been stored, for people and for plugins."""
        parts = self._parts
        if parts is None:
            return
        for change in changes:
            await parts.notifications.tell(change.incident, change.what, change.at)
            facts = {"incident": change.incident, "change": change.what}
            parts.announcements.put("tocsin_incident_changed", facts)
        for signal in signals:
            if isinstance(signal, Detection):
                parts.announcements.put("tocsin_detected", {"detection": signal})
