"""Where incidents are worked on: what is changed is stored, remembered and told as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tocsin.assembly import Parts
from tocsin.clock import Clock, from_micros
from tocsin.correlation import Change
from tocsin.evaluation import merge
from tocsin.models import Incident, TimelineEntry

Done = TypeVar("Done")


class ManagerDesk:
    """The incidents of a running manager."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        clock: Clock,
        *,
        read: Callable[[str], Awaitable[Incident]],
        stored: Callable[[Sequence[Change]], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            parts: gives the manager's parts, or raises where it is not running.
            clock: tells when.
            read: reads an incident whole.
            stored: called with what has just been stored, to count it and to tell of it.
        """
        self._parts = parts
        self._clock = clock
        self._read = read
        self._stored = stored

    async def current(self, incident_id: str) -> Incident:
        """Read an incident whole, as it is now."""
        return await self._read(incident_id)

    def last_seen(self, incident: Incident) -> datetime | None:
        """Give when the incident's rule last matched an event of its group, if that is known."""
        seen = self._parts().engine.last_seen(incident.rule_id, incident.group)
        return from_micros(seen) if seen is not None else None

    async def record(
        self,
        incident_id: str,
        change: Callable[[Incident], tuple[Incident, tuple[TimelineEntry, ...]]],
        what: str,
    ) -> Incident:
        """Apply a change to the incident as it is now, store it, and tell of it."""
        parts = self._parts()
        async with parts.evaluation.incidents:
            before = parts.correlation.get(incident_id) or await self._read(incident_id)
            after, story = change(before)
            at = story[-1].at if story else self._clock.now()
            made = Change(after, what, at, story, before=before)
            await _unbroken(self._store(parts, made))
        return after

    async def _store(self, parts: Parts, change: Change) -> None:
        await parts.results.store_incidents(merge([change], parts.correlation))
        parts.correlation.update(change.incident)
        await self._stored([change])


async def _unbroken(work: Coroutine[Any, Any, Done]) -> Done:
    """Finish what was begun, whoever is cancelled: half of it would be remembered wrongly."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise
