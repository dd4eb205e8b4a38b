"""What a rule remembers of one group: the events of its window, in event time.

All instants and spans are whole microseconds. A window that ends at an instant holds the events
that are not newer than it and at most `within` older.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec

from tocsin.rules.schema import Aggregation, DistinctLimit, Rule

_MAX_INSTANTS = 16
"""A late event is judged at so many instants at most."""
_MAX_VALUE_TEXT = 256


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What is kept of an event; out of the garbage collector's sight, since there are many."""

    at: int
    until: int
    """The engine's time until which it is kept."""
    event_id: str
    component: str
    correlation_id: str | None
    values: tuple[Any, ...]
    """One value for each aggregate."""


class Aggregate(Protocol):
    """A number made of the entries of a window. A further kind of window is one more of these."""

    def add(self, entry: Entry) -> None:
        """Take an entry; it may be older than others."""
        ...

    def current(self, log: Log, start: int) -> int | float:
        """Give the number for the entries from `start` on; `start` never goes back."""
        ...

    def past(self, log: Log, start: int, end: int) -> int | float:
        """Give the number for any window that the log still holds, both ends inside."""
        ...


class Log:
    """The entries of a group, sorted by time; the oldest are let go from the front."""

    __slots__ = ("_entries", "_first")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._entries) - self._first

    def add(self, entry: Entry) -> None:
        """Insert an entry, behind those of the same instant."""
        entries = self._entries
        if len(entries) == self._first or entries[-1].at <= entry.at:
            entries.append(entry)
        else:
            entries.insert(bisect_right(entries, entry.at, self._first, key=_at), entry)

    def expire(self, now: int) -> None:
        """Let the oldest entries go whose time is over."""
        entries, first = self._entries, self._first
        length = len(entries)
        while first < length and entries[first].until < now:
            first += 1
        self._let_go(first)

    def clear(self, until: int) -> None:
        """Let the entries go that are not newer than an instant."""
        self._let_go(bisect_right(self._entries, until, self._first, key=_at))

    def cut(self, most: int) -> int:
        """Let the oldest entries go until at most so many are left; give how many went."""
        excess = len(self) - most
        if excess > 0:
            self._let_go(self._first + excess)
        return max(excess, 0)

    def _let_go(self, first: int) -> None:
        self._first = first
        if first > 32 and first * 2 > len(self._entries):  # noqa: PLR2004 - amortises the copying
            del self._entries[:first]
            self._first = 0

    def between(self, start: int, end: int) -> list[Entry]:
        """Give the entries from `start` to `end`, both inside."""
        entries = self._entries
        low = bisect_left(entries, start, self._first, key=_at)
        return entries[low : bisect_right(entries, end, low, key=_at)]

    def count(self, start: int) -> int:
        """Count the entries from `start` on."""
        entries, low = self._entries, self._first
        if low < len(entries) and entries[low].at < start:
            low = bisect_left(entries, start, low, key=_at)
        return len(entries) - low

    def instants(self, at: int, last: int, now: int) -> list[int]:
        """Choose the instants at which an event is judged: the ends of windows that it is in.

        Args:
            at: the event's time.
            last: the newest instant of a window that it is in.
            now: the engine's time; an event of now is judged there alone.
        """
        if at >= now:
            return [now]
        ends = sorted({at, *(entry.at for entry in self.between(at, last))})
        half = _MAX_INSTANTS // 2
        return ends if len(ends) <= _MAX_INSTANTS else [*ends[:half], *ends[-half:]]

    def oldest(self, start: int) -> int | None:
        """Give the instant of the oldest entry that is not older than `start`."""
        entries = self._entries
        low = bisect_left(entries, start, self._first, key=_at)
        return entries[low].at if low < len(entries) else None


def _at(entry: Entry) -> int:
    return entry.at


class Count:
    """How many events the window holds."""

    __slots__ = ()

    def add(self, entry: Entry) -> None:
        """Do nothing: the log counts."""

    def current(self, log: Log, start: int) -> int:
        """Count the entries from `start` on."""
        return log.count(start)

    def past(self, log: Log, start: int, end: int) -> int:
        """Count the entries of a window."""
        return len(log.between(start, end))


class Distinct:
    """How many different values of a field the window holds."""

    __slots__ = ("_index", "_latest", "_most", "_sorted")

    def __init__(self, index: int, most: int) -> None:
        self._index = index
        self._most = most
        self._latest: dict[Any, int] = {}
        """Every value, and when it was last seen; in order of that, while `_sorted`."""
        self._sorted = True

    def add(self, entry: Entry) -> None:
        """Note when the entry's value was last seen."""
        value = entry.values[self._index]
        known = self._latest.get(value, entry.at - 1)
        if value is None or known >= entry.at:
            return
        self._latest.pop(value, None)
        last = next(reversed(self._latest.values()), entry.at)
        self._sorted = self._sorted and last <= entry.at
        self._latest[value] = entry.at
        if len(self._latest) > self._most:
            del self._latest[next(iter(self._latest))]

    def current(self, log: Log, start: int) -> int:  # noqa: ARG002 - every aggregate gets it
        """Count the values seen from `start` on."""
        if not self._sorted:
            self._latest = dict(sorted(self._latest.items(), key=lambda item: item[1]))
            self._sorted = True
        gone = 0
        for at in self._latest.values():
            if at >= start:
                break
            gone += 1
        for value in list(islice(self._latest, gone)):
            del self._latest[value]
        return len(self._latest)

    def past(self, log: Log, start: int, end: int) -> int:
        """Count the values of a window."""
        return len({entry.values[self._index] for entry in log.between(start, end)} - {None})


def judged(rule: Rule) -> tuple[Aggregation, ...]:
    """List what is judged: the window's aggregates, and the number of components where required."""
    if rule.min_components is None:
        return rule.aggregations
    limit = DistinctLimit(field="source", gte=rule.min_components)
    return (*rule.aggregations, Aggregation("components", limit))


def make_aggregate(aggregation: Aggregation, index: int, most: int) -> Aggregate:
    """Make the aggregate of a name.

    Args:
        aggregation: what is wanted.
        index: the place of its value in an entry.
        most: values remembered at most; more than any bound of the rule needs.
    """
    return Count() if aggregation.name == "count" else Distinct(index, most)


def find_turn(
    instants: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    goes_on: Callable[[int], bool],
) -> int | None:
    """Find the start of a span in which an event made true what nowhere in it was true before.

    Args:
        instants: where the event was judged, oldest first.
        before: those at which the condition was true without it.
        after: those at which it is true with it.
        goes_on: says whether it is also true just before an instant, so that no span starts there.
    """
    new: int | None = None
    for x in instants:
        true = x in after
        rises = true and not goes_on(x)
        if new is not None and (rises or not true):
            return new
        if x in before:
            new = None
        elif rises:
            new = x
    return new


def distinguishable(value: Any) -> Any:
    """Give a value as a key: short, of different kinds never equal, None where it is missing."""
    if value is None:
        return None
    kind = value.__class__
    if kind is str:
        return value if len(value) <= _MAX_VALUE_TEXT and _encodable(value) else _digest(value)
    if kind is bool:
        return ("boolean", value)
    if kind is int:
        return value if abs(value) < 2**63 else _digest(str(value))
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return ("json", _digest(json.dumps(value, sort_keys=True, default=str)))


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(text: str) -> str:
    """Shorten a text so that different ones stay different and all can be stored."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    start = text[:_MAX_VALUE_TEXT].encode("utf-8", "replace").decode()
    return f"{start}~{digest}"
