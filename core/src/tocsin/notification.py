"""Tells people: each stored change of an incident becomes a notice for the configured notifiers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tocsin.calls import Calls
from tocsin.capabilities import Notifier
from tocsin.clock import Clock, isoformat
from tocsin.errors import Retryable, describe
from tocsin.models import Incident, IncidentSeverity, Notice
from tocsin.references import redact

_log = logging.getLogger(__name__)
_TRIES = 3
_WAITING = 10_000
TOLD = ("opened", "escalated", "cleared", "resolved", "closed", "reopened")
"""The changes that people are told of."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A notifier in use."""

    name: str
    notifier: Notifier
    min_severity: IncidentSeverity


def notice_of(incident: Incident, change: str, at: datetime) -> Notice:
    """Put a change into words."""
    return Notice(
        notice_id=f"{incident.id}:{change}:{isoformat(at)}",
        incident_id=incident.id,
        change=change,
        at=at,
        severity=incident.severity,
        status=incident.status,
        incident_type=incident.type,
        title=incident.title,
        text=f"{incident.severity.value} {incident.type} {change}: {incident.title}",
        components=incident.affected_components,
    )


class Notifications:
    """Sends notices in the background, in order, one notifier after the other."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        calls: Calls,
        clock: Clock,
        secrets: Iterable[str] = (),
    ) -> None:
        """Prepare.

        Args:
            channels: the notifiers in use, by name.
            calls: runs them.
            clock: says how long to wait before the next try.
            secrets: what must not be in what is logged of failures.
        """
        self.sent = 0
        self.failed = 0
        self._channels = dict(channels)
        self._calls = calls
        self._clock = clock
        self._secrets = frozenset(secrets)
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(_WAITING)

    async def tell(self, incident: Incident, change: str, at: datetime) -> None:
        """Queue the notice of a change, if people are told of such; waits where too many wait."""
        if self._channels and change in TOLD:
            await self._queue.put(notice_of(incident, change, at))

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            notice = await self._queue.get()
            try:
                for channel in self._channels.values():
                    if notice.severity >= channel.min_severity:
                        await self._send(channel, notice)
            finally:
                self._queue.task_done()

    async def drained(self) -> None:
        """Wait until everything queued has been sent or given up."""
        await self._queue.join()

    async def _send(self, channel: Channel, notice: Notice) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._calls.run(channel.notifier.send, notice)
            except Retryable as error:
                if attempt < _TRIES:
                    await self._clock.sleep(error.after or 2.0**attempt)
                    continue
                reason: Exception = error
            except Exception as error:  # noqa: BLE001 - a notifier may fail in any way; others go on
                reason = error
            else:
                self.sent += 1
                return
            self.failed += 1
            _log.error(
                "notifier %r failed to send %s: %s",
                channel.name,
                notice.notice_id,
                redact(describe(reason), self._secrets),
            )
            return
