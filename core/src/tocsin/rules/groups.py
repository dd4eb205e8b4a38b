"""One group of a rule: the values it stands for, its window and its firing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tocsin.models import Event
from tocsin.rules.firings import Firing
from tocsin.rules.windows import Aggregate, Log, distinguishable

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """What the conditions of one rule say of one event."""

    rule: int
    """The rule's number in the engine."""
    matched: bool
    """Whether the event counts; if not, it interrupts a run."""
    steps: tuple[bool, ...] = ()
    """For each step of the escalation, whether its condition on the event holds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a rule may remember."""

    groups: int = 50_000
    """Groups of one rule; the least recently used ones are let go."""
    events: int = 10_000
    """Events of one group's window, where the rule's own bounds do not need more."""


@dataclass(slots=True)
class Counters:
    """What was let go, for the operator to see."""

    groups: int = 0
    events: int = 0


class Group:
    """The state of a rule for one group."""

    __slots__ = ("aggregates", "firing", "key", "log", "text", "timer", "values")

    def __init__(self, key: Key, values: dict[str, Any], aggregates: list[Aggregate]) -> None:
        self.key = key
        self.values = values
        self.text = orjson.dumps(key).decode()
        self.log = Log()
        self.aggregates = aggregates
        self.firing = Firing()
        self.timer: int | None = None
        """When the group is looked at next, if that is planned."""


def group_of(
    getters: Sequence[tuple[str, Callable[[Event], Any]]], event: Event
) -> tuple[Key, dict[str, Any]]:
    """Give the key of the group that an event belongs to, and the values that people see."""
    found = [(name, get(event)) for name, get in getters]
    key = tuple(distinguishable(value) for _, value in found)
    return key, {n: _shown_value(value, part) for (n, value), part in zip(found, key, strict=True)}


def _shown_value(value: Any, part: Any) -> Any:
    """Give a group's value as a scalar of bounded length."""
    if value is None or isinstance(value, bool):
        return value
    return part[1] if isinstance(part, tuple) else part


def as_key(value: Any) -> Any:
    """Turn what a key looks like as JSON back into the key."""
    return tuple(as_key(item) for item in value) if isinstance(value, list) else value
