"""Conditions as structure, and what each of them means.

`holds` is the executable reference: compiled rules must agree with it on every event.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from tocsin.models import Event
from tocsin.rules.fields import Path, getter

Constant = str | int | float | bool

ORDER = ("lt", "lte", "gt", "gte")
OPERATORS = (
    "eq",
    "ne",
    *ORDER,
    "in",
    "not_in",
    "exists",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "between",
    "cidr",
)
"""Every operator of a condition."""
_MAX_ADDRESS = 64
MAX_SEARCHED = 65_536
"""`matches` looks at so many leading characters of a field."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another field of the same event, as the right side of a comparison."""

    path: Path


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field compared with something."""

    path: Path
    operator: str
    operand: Any
    """A constant, a tuple of constants, or `Other`."""


@dataclass(frozen=True, slots=True)
class All:
    """True when every part is; true when there is none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when at least one part is."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the part is not."""

    part: Condition


Condition = Comparison | All | AnyOf | Not


def holds(condition: Condition, event: Event) -> bool:
    """Say whether an event satisfies a condition."""
    match condition:
        case All(parts):
            return all(holds(part, event) for part in parts)
        case AnyOf(parts):
            return any(holds(part, event) for part in parts)
        case Not(part):
            return not holds(part, event)
        case Comparison(path, operator, operand):
            right = getter(operand.path)(event) if isinstance(operand, Other) else operand
            return compare(operator, getter(path)(event), right)


def compare(operator: str, left: Any, right: Any) -> bool:
    """Compare a field's value with the right side of a test.

    Values of different kinds (text, number, boolean) are never equal and have no order; a missing
    field equals nothing. `ne` and `not_in` are the exact opposites of `eq` and `in`.
    """
    match operator:
        case "eq":
            return _equal(left, right)
        case "ne":
            return not _equal(left, right)
        case "lt" | "lte" | "gt" | "gte":
            return _ordered(operator, left, right)
        case "between":
            return _ordered("gte", left, right[0]) and _ordered("lte", left, right[1])
        case "in":
            return any(_equal(left, item) for item in right)
        case "not_in":
            return not any(_equal(left, item) for item in right)
        case "exists":
            return (left is not None) is right
        case "contains":
            if isinstance(left, list):
                return any(_equal(item, right) for item in left)
            return isinstance(left, str) and isinstance(right, str) and right in left
        case _:
            return isinstance(left, str) and _text_test(operator, left, right)


def _text_test(operator: str, left: str, right: Any) -> bool:
    match operator:
        case "starts_with":
            return left.startswith(right)
        case "ends_with":
            return left.endswith(right)
        case "matches":
            text = left[:MAX_SEARCHED].encode("utf-8", "replace")
            return pattern(right).search(text) is not None
        case _:
            address = _address(left)
            return address is not None and any(address in _network(net) for net in right)


def kind_of(value: Any) -> str | None:
    """Name the kind of a value: `text`, `number`, `boolean`, or None for all else."""
    kind = value.__class__
    if kind is str or isinstance(value, str):
        return "text"
    if kind is bool:
        return "boolean"
    return "number" if kind is int or kind is float else None


def _equal(left: Any, right: Any) -> bool:
    kind = kind_of(left)
    return kind is not None and kind == kind_of(right) and left == right


def _ordered(operator: str, left: Any, right: Any) -> bool:
    kind = kind_of(left)
    if kind not in ("text", "number") or kind != kind_of(right):
        return False
    match operator:
        case "lt":
            return bool(left < right)
        case "lte":
            return bool(left <= right)
        case "gt":
            return bool(left > right)
        case _:
            return bool(left >= right)


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """Compile a pattern in RE2 syntax, which takes linear time on any text.

    Raises:
        re2.error: it is not a pattern.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options=options)


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=65_536)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text) if len(text) <= _MAX_ADDRESS else None
    except ValueError:
        return None


def event_types(condition: Condition) -> frozenset[str] | None:
    """Find the only event types that can satisfy a condition, or None where any may."""
    match condition:
        case Comparison(("event_type",), "eq", str(wanted)):
            return frozenset((wanted,))
        case Comparison(("event_type",), "in", tuple(wanted)):
            return frozenset(item for item in wanted if isinstance(item, str))
        case All(parts):
            known = [types for part in parts if (types := event_types(part)) is not None]
            return frozenset.intersection(*known) if known else None
        case AnyOf(parts):
            each = [event_types(part) for part in parts]
            return (
                frozenset().union(*(types for types in each if types)) if None not in each else None
            )
        case _:
            return None


def for_event_type(condition: Condition, event_type: str) -> Condition | bool:
    """Simplify a condition for events of one type: tests of the type are decided."""
    match condition:
        case Comparison(("event_type",), operator, operand) if not isinstance(operand, Other):
            return compare(operator, event_type, operand)
        case All(parts) | AnyOf(parts):
            neutral = isinstance(condition, All)
            rest: list[Condition] = []
            for part in parts:
                simple = for_event_type(part, event_type)
                if isinstance(simple, bool):
                    if simple is not neutral:
                        return simple
                else:
                    rest.append(simple)
            if not rest:
                return neutral
            return rest[0] if len(rest) == 1 else type(condition)(tuple(rest))
        case Not(part):
            simple = for_event_type(part, event_type)
            return not simple if isinstance(simple, bool) else Not(simple)
        case _:
            return condition


def paths(condition: Condition) -> frozenset[Path]:
    """Collect the fields that a condition looks at."""
    match condition:
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(paths(part) for part in parts))
        case Not(part):
            return paths(part)
        case Comparison(path, _, Other(other)):
            return frozenset((path, other))
        case Comparison(path):
            return frozenset((path,))
