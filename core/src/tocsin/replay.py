"""Puts recorded events through rules without a database: the same decisions, nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tocsin.correlation import Correlation
from tocsin.deduplication import RecentIds
from tocsin.models import Detection, Event, Signal
from tocsin.rules.engine import Engine, resolve
from tocsin.rules.matcher import Matcher

_BATCH = 1000


class Replay:
    """Rules over a recorded stream; a repeated event_id counts once within the horizon."""

    def __init__(self, engine: Engine, matcher: Matcher, *, horizon_ids: int = 200_000) -> None:
        self.events = 0
        self.duplicates = 0
        self._engine = engine
        self._matcher = matcher
        self._correlation = Correlation()
        self._known = RecentIds(horizon_ids)

    async def feed(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Take events; gives what comes of them, in order, as JSON types."""
        fresh = self._known.fresh(events)
        self._known.add([event.event_id for event in fresh])
        self.events += len(fresh)
        self.duplicates += len(events) - len(fresh)
        written: list[dict[str, Any]] = []
        for start in range(0, len(fresh), _BATCH):
            prepared = self._engine.prepare(fresh[start : start + _BATCH])
            await resolve(self._engine, self._matcher, prepared)
            written += self._write(self._engine.apply(prepared))
        self._engine.take_changes()  # nothing is stored, so they must not pile up
        return written

    def finish(self) -> list[dict[str, Any]]:
        """Take the end of the stream; gives what still comes of it."""
        return list(self._write(self._engine.finish()))

    def _write(self, signals: Iterable[Signal]) -> Iterator[dict[str, Any]]:
        for signal in signals:
            changes = self._correlation.apply([signal], {})
            row = signal.model_dump(mode="json")
            if changes:
                row["incident_id"] = changes[0].incident.id
            yield row
            if changes and changes[0].what == "opened" and isinstance(signal, Detection):
                yield {
                    "kind": "incident",
                    **changes[0].incident.model_dump(
                        mode="json", exclude={"events", "timeline", "actions_taken", "post_mortem"}
                    ),
                    "detection_id": signal.detection_id,
                }
