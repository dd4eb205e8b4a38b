"""Compiles conditions into definitions for durable-rules that cannot harm it.

Only single-condition rules over whole numbers are ever emitted. What the engine does badly or not
at all (patterns, lists, negated order, conditions with too many branches) becomes one column that
the projection computes. `check_definition` states the safe subset and is applied to every result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.errors import MatcherError
from tocsin.models import Event
from tocsin.rules.conditions import (
    ORDER,
    All,
    AnyOf,
    Comparison,
    Condition,
    Not,
    Other,
    event_types,
    for_event_type,
    kind_of,
)
from tocsin.rules.fields import Path
from tocsin.rules.projection import (
    FALSE,
    OTHER,
    TRUE,
    BooleanColumn,
    Column,
    PlaceColumn,
    PresentColumn,
    Record,
    TestColumn,
    projector,
)

MAX_RULES = 40
"""Rules in one definition; the engine fails where 64 match one record or 255 share a condition."""
MAX_BRANCHES = 48
"""Ways in which the rules of one definition can match; each counts as a match of its own."""
MAX_LEAVES = 200
"""Comparisons in one definition; the engine loops for ever at 512 on one level."""
MAX_RULE_BRANCHES = 8
MAX_RULE_LEAVES = 40
MAX_DEPTH = 8
PROBE = "p"
"""The rule that every definition has, to see that the engine answers."""

_ORDERED = {"lt": "$lt", "lte": "$lte", "gt": "$gt", "gte": "$gte"}
_OPERATORS = {*_ORDERED.values(), "$neq"}
_MAX_CODE = 1_000_000

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shard:
    """Conditions that are judged together, for events of one type or of any."""

    names: tuple[str, ...]
    """What a verdict's numbers stand for."""
    definition: Definition
    columns: tuple[Column, ...]
    project: Callable[[Event], Record]


@dataclass(frozen=True, slots=True)
class Program:
    """Everything compiled: which shards an event goes to."""

    shards: tuple[Shard, ...]
    by_type: dict[str, tuple[int, ...]]
    """The shards for events of the types that some condition names."""
    otherwise: tuple[int, ...]
    """The shards for events of all other types."""


def compile_conditions(conditions: Iterable[tuple[str, Condition]]) -> Program:
    """Compile named conditions, sharded by the event types that can satisfy them."""
    typed: dict[str, list[tuple[str, Condition]]] = {}
    general: list[tuple[str, Condition]] = []
    for name, condition in conditions:
        types = event_types(condition)
        if types is None:
            general.append((name, condition))
            continue
        for event_type in sorted(types):
            simple = for_event_type(condition, event_type)
            if simple is not False:
                typed.setdefault(event_type, []).append(
                    (name, All(()) if simple is True else simple)
                )
    shards: list[Shard] = []
    otherwise = _add(shards, general)
    by_type = {
        event_type: (*_add(shards, members), *otherwise)
        for event_type, members in sorted(typed.items())
    }
    return Program(tuple(shards), by_type, otherwise)


def _add(shards: list[Shard], members: Sequence[tuple[str, Condition]]) -> tuple[int, ...]:
    first = len(shards)
    shards.extend(compile_shard(part) for part in _parts(members))
    return tuple(range(first, len(shards)))


def _parts(
    members: Sequence[tuple[str, Condition]],
) -> Iterable[Sequence[tuple[str, Condition]]]:
    """Split conditions so that no part comes near a limit of the engine."""
    part: list[tuple[str, Condition]] = []
    branches = leaves = 0
    for name, condition in members:
        size = _size(condition)
        if part and (
            len(part) == MAX_RULES
            or branches + size.branches > MAX_BRANCHES
            or leaves + size.leaves > MAX_LEAVES
        ):
            yield part
            part, branches, leaves = [], 0, 0
        part.append((name, condition))
        branches += size.branches
        leaves += size.leaves
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Size:
    branches: int = 1
    leaves: int = 1
    depth: int = 0

    @property
    def fits(self) -> bool:
        return (
            self.branches <= MAX_RULE_BRANCHES
            and self.leaves <= MAX_RULE_LEAVES
            and self.depth <= MAX_DEPTH
        )


def _size(condition: Condition) -> _Size:
    """Measure what the engine will get; a condition that does not fit becomes one leaf."""
    size = _measure(condition, negated=False)
    return size if size.fits else _Size()


def _measure(condition: Condition, *, negated: bool) -> _Size:
    match condition:
        case Not(part):
            return _measure(part, negated=not negated)
        case All(parts) | AnyOf(parts):
            sizes = [_measure(part, negated=negated) for part in parts]
            branches = 1
            if isinstance(condition, All) is not negated:
                for size in sizes:
                    branches = min(branches * size.branches, MAX_RULE_BRANCHES + 1)
            else:
                branches = max(sum(size.branches for size in sizes), 1)
            leaves = max(sum(size.leaves for size in sizes), 1)
            return _Size(branches, leaves, 1 + max((size.depth for size in sizes), default=0))
        case Comparison(_, "between", _):
            return _Size(1, 2, 1)
        case _:
            return _Size(1, 2, 1)


def compile_shard(members: Sequence[tuple[str, Condition]]) -> Shard:
    """Compile conditions that fit into one definition.

    Raises:
        MatcherError: they do not, or the result is outside the safe subset.
    """
    table = _Table(members)
    definition: Definition = {PROBE: {"all": [{"m": {PROBE: 1}}]}}
    for index, (_, condition) in enumerate(members):
        expression = (
            table.expression(condition)
            if _measure(condition, negated=False).fits
            else table.test(condition)
        )
        definition[f"r{index}"] = {"all": [{"m": expression}]}
    check_definition(definition)
    columns = tuple(table.columns)
    names = tuple(name for name, _ in members)
    return Shard(names, definition, columns, projector(columns))


class _Table:
    """The columns of a shard, made as expressions need them."""

    def __init__(self, members: Sequence[tuple[str, Condition]]) -> None:
        self.columns: list[Column] = []
        self._index: dict[Any, int] = {}
        constants: dict[tuple[Path, str], set[Any]] = {}
        self._ordered: set[tuple[Path, str]] = set()
        """The fields of which more than equality is asked."""
        for _, condition in members:
            for path, kind, constant, operator in _constants(condition):
                constants.setdefault((path, kind), set()).add(constant)
                if operator not in ("eq", "ne"):
                    self._ordered.add((path, kind))
        self._constants = {key: tuple(sorted(values)) for key, values in constants.items()}

    def expression(self, condition: Condition, *, negated: bool = False) -> dict[str, Any]:
        """Write a condition as the engine's expression, with negation pushed to the leaves."""
        match condition:
            case Not(part):
                return self.expression(part, negated=not negated)
            case All(parts) | AnyOf(parts):
                if not parts:
                    return {"k": 1 if isinstance(condition, All) is not negated else 0}
                written = [self.expression(part, negated=negated) for part in parts]
                if len(written) == 1:
                    return written[0]
                return {"$and" if isinstance(condition, All) is not negated else "$or": written}
            case Comparison():
                return self._comparison(condition, negated=negated)

    def test(self, condition: Condition, *, negated: bool = False) -> dict[str, Any]:
        """Leave a condition to the projection."""
        name = self._column(repr(condition), lambda: TestColumn(condition))
        return {name: FALSE if negated else TRUE}

    def _column(self, key: Any, make: Callable[[], Column]) -> str:
        if key not in self._index:
            self._index[key] = len(self.columns)
            self.columns.append(make())
        return f"c{self._index[key]}"

    def _comparison(self, comparison: Comparison, *, negated: bool) -> dict[str, Any]:
        path, operator, operand = comparison.path, comparison.operator, comparison.operand
        if isinstance(operand, Other):
            return self.test(comparison, negated=negated)
        if operator == "exists":
            name = self._column((path, "present"), lambda: PresentColumn(path))
            return {name: TRUE if operand is not negated else FALSE}
        if operator == "between" and not negated:
            low, high = (
                Comparison(path, op, b) for op, b in zip(("gte", "lte"), operand, strict=True)
            )
            return {"$and": [self._comparison(part, negated=False) for part in (low, high)]}
        if operator not in ("eq", "ne", *ORDER) or (operator in ORDER and negated):
            return self.test(comparison, negated=negated)
        kind = kind_of(operand) or ""
        if kind == "boolean":
            name = self._column((path, kind), lambda: BooleanColumn(path))
            code = TRUE if operand else FALSE
        else:
            field = (path, kind)
            column = PlaceColumn(path, kind, self._constants[field], field in self._ordered)
            name = self._column(field, lambda: column)
            code = column.code(operand)
        if operator in ORDER:
            bound = {_ORDERED[operator]: {name: code}}
            return bound if operator in ("gt", "gte") else {"$and": [{"$gt": {name: OTHER}}, bound]}
        return {name: code} if (operator == "eq") is not negated else {"$neq": {name: code}}


def _constants(condition: Condition) -> Iterable[tuple[Path, str, Any, str]]:
    """List the numbers and texts that comparisons left to the engine refer to."""
    match condition:
        case Not(part):
            yield from _constants(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _constants(part)
        case Comparison(path, operator, operand) if operator in ("eq", "ne", "between", *ORDER):
            for constant in operand if operator == "between" else (operand,):
                kind = kind_of(constant)
                if kind in ("text", "number"):
                    yield path, kind, constant, operator


def check_definition(definition: Definition) -> None:
    """Refuse everything but the subset of durable-rules that was measured to be safe.

    Raises:
        MatcherError: the definition could crash, hang or mislead the engine.
    """
    if definition.get(PROBE) != {"all": [{"m": {PROBE: 1}}]}:
        raise MatcherError("a definition must have the probe rule")
    if len(definition) > MAX_RULES + 1:
        raise MatcherError(f"a definition may have {MAX_RULES} rules, found {len(definition) - 1}")
    branches = leaves = 0
    for name, rule in definition.items():
        if name == PROBE:
            continue
        if not (name[:1] == "r" and name[1:].isdigit() and len(name) <= 4):  # noqa: PLR2004
            raise MatcherError(f"rule name {name!r} is not allowed")
        match rule:
            case {"all": [{"m": dict(expression), **more}], **rest} if not more and not rest:
                size = _check_expression(expression, 0)
            case _:
                raise MatcherError(f"rule {name!r} must have exactly one condition named 'm'")
        branches += size.branches
        leaves += size.leaves
    if branches > MAX_BRANCHES or leaves > MAX_LEAVES:
        raise MatcherError(f"too large: {branches} branches and {leaves} comparisons")


def _check_expression(expression: Any, depth: int) -> _Size:
    if not isinstance(expression, dict) or len(expression) != 1 or depth > MAX_DEPTH + 2:
        raise MatcherError(f"expression {expression!r:.100} is not allowed")
    ((key, value),) = expression.items()
    if key in ("$and", "$or"):
        if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004 - one needs no group
            raise MatcherError(f"{key!r} needs a list of two or more")
        sizes = [_check_expression(part, depth + 1) for part in value]
        branches = 1 if key == "$and" else 0
        for size in sizes:
            branches = branches * size.branches if key == "$and" else branches + size.branches
        return _Size(branches, sum(size.leaves for size in sizes))
    if key in _OPERATORS:
        if not isinstance(value, dict) or len(value) != 1:
            raise MatcherError(f"{key!r} needs one column and its code")
        ((key, value),) = value.items()
    if not (key == "k" or (key[:1] == "c" and key[1:].isdigit() and len(key) <= 5)):  # noqa: PLR2004
        raise MatcherError(f"column {key!r} is not allowed")
    if type(value) is not int or not 0 <= value <= _MAX_CODE:
        raise MatcherError(f"code {value!r:.100} of column {key!r} is not allowed")
    return _Size()
