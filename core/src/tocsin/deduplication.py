"""Remembers which event ids were seen, within a horizon of time and number."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from tocsin.models import Event

Kind = TypeVar("Kind", bound=Event)


class RecentIds:
    """The ids of the newest events: at most so many, and none older than a span."""

    def __init__(self, most: int, within: int | None = None) -> None:
        """Start with nothing known.

        Args:
            most: ids remembered at most.
            within: microseconds that an id is remembered, or None for ever.
        """
        self._most = most
        self._within = within
        self._known: dict[str, int] = {}
        """The ids, each with the number of the batch that brought it last."""
        self._batches: deque[tuple[int, int, list[str]]] = deque()
        """Number, instant and ids of each batch."""
        self._number = 0

    def __len__(self) -> int:
        return len(self._known)

    def fresh(self, events: Sequence[Kind]) -> list[Kind]:
        """Leave out the events whose id is known, and all but the first of an id."""
        ids = [event.event_id for event in events]
        unique = set(ids)
        known = self._known
        if len(unique) == len(ids) and known.keys().isdisjoint(unique):
            return list(events)
        first: dict[str, Kind] = {}
        for event in events:
            if event.event_id not in known:
                first.setdefault(event.event_id, event)
        return list(first.values())

    def add(self, ids: list[str], at: int = 0) -> None:
        """Remember ids, seen at an instant in microseconds."""
        self._number += 1
        self._known.update(dict.fromkeys(ids, self._number))
        self._batches.append((self._number, at, ids))
        self.trim(at)

    def trim(self, now: int) -> None:
        """Forget what lies beyond the horizon."""
        batches = self._batches
        while batches and self._within is not None and batches[0][1] < now - self._within:
            number, _, ids = batches.popleft()
            self._forget(number, ids)
        while (excess := len(self._known) - self._most) > 0:
            number, at, ids = batches.popleft()
            self._forget(number, ids[:excess])
            if len(ids) > excess:
                batches.appendleft((number, at, ids[excess:]))

    def _forget(self, number: int, ids: Sequence[str]) -> None:
        """Forget ids, but for those that a later batch brought again."""
        known = self._known
        for event_id in ids:
            if known.get(event_id) == number:
                del known[event_id]
