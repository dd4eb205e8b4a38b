"""The form of a ruleset file, and a rule as the engine uses it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictInt

from tocsin.durations import Duration
from tocsin.models import IncidentSeverity
from tocsin.models.detections import TYPE_NAME
from tocsin.rules.conditions import Condition
from tocsin.rules.fields import Path
from tocsin.validation import shown

RULE_ID = r"^[a-z][a-z0-9_]{0,63}$"
"""The form of a rule's id."""
AGGREGATES = ("count", "distinct")
"""The names of the aggregates that a window can be judged by."""

_LARGEST = 2**53
"""Up to here every whole number has a float of its own."""

Name = Annotated[str, Field(pattern=RULE_ID)]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected a number, found {shown(value)}")
    if abs(value) > _LARGEST:
        raise ValueError(f"expected a number up to {_LARGEST}, found {shown(value)}")
    return value


Number = Annotated[float, PlainValidator(_number, json_schema_input_type=float)]
"""A finite number, kept as whole or broken as it was written."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(_Part):
    """The bounds that an aggregate's value is compared with; all that are given must hold."""

    eq: Number | None = None
    ne: Number | None = None
    lt: Number | None = None
    lte: Number | None = None
    gt: Number | None = None
    gte: Number | None = None

    def bounds(self) -> tuple[tuple[str, float], ...]:
        """Give the bounds as pairs of operator and number."""
        return tuple((n, value) for n, value in self if n in _COMPARE and value is not None)

    def holds(self, value: float) -> bool:
        """Say whether a value is within all bounds."""
        return all(_COMPARE[name](value, bound) for name, bound in self.bounds())


_COMPARE = {
    "eq": lambda value, bound: value == bound,
    "ne": lambda value, bound: value != bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
}


class CountLimit(Limit):
    """How many matching events the window holds."""


class DistinctLimit(Limit):
    """How many different values of a field the window holds."""

    field: str
    """The field whose values are counted; events without it are not."""


class WindowPart(_Part):
    """What of the recent past is judged, and how."""

    count: CountLimit | None = None
    distinct: DistinctLimit | None = None
    within: Duration
    """How far back the window reaches; an event exactly that old is still inside."""


class EscalateIf(_Part):
    """When a condition counts as worse; all that is given must hold."""

    count: CountLimit | None = None
    distinct: DistinctLimit | None = None
    lasting: Duration | None = None
    """The condition has been true for so long."""
    when: Any = None
    """A condition on the event that has just come."""


class EscalatePart(_Part):
    """A higher severity, and when it applies."""

    if_: EscalateIf = Field(alias="if")
    severity: IncidentSeverity


class ConsecutivePart(_Part):
    """Which events interrupt a run of matching ones."""

    among: Any
    """A condition: an event of the group that satisfies it, but does not match, ends the run."""


class CaseEvent(_Part):
    """One event of a test, or several alike."""

    model_config = ConfigDict(frozen=True, extra="allow")

    at: Duration | None = None
    """When, counted from the test's start; otherwise at the time of the event before."""
    repeat: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1
    every: Duration = 0
    """The time between two repetitions."""


class CaseExpectation(_Part):
    """What should come of it."""

    kind: Literal["detection", "escalation", "cleared"] = "detection"
    at: Duration
    group: dict[str, Any] | None = None
    severity: IncidentSeverity | None = None


class CasePart(_Part):
    """A test of a rule, inside its file."""

    name: Annotated[str, Field(min_length=1)]
    events: tuple[CaseEvent, ...]
    expect: tuple[CaseExpectation, ...]
    until: Duration | None = None
    """Let the time move on to here after the last event."""


class RulePart(_Part):
    """A rule as it stands in the file."""

    id: Name
    title: Annotated[str, Field(min_length=1, max_length=500)]
    """Names the incident; `{count}`, `{within}` and fields of `group_by` are filled in."""
    description: str = ""
    enabled: StrictBool = True
    incident_type: Annotated[str, Field(pattern=TYPE_NAME)]
    severity: IncidentSeverity
    when: Any
    """The condition that an event must satisfy."""
    unless: Any = None
    """Events that satisfy this do not count."""
    group_by: tuple[str, ...] = ()
    """Fields: each combination of their values is judged on its own."""
    window: WindowPart | None = None
    """Without one, every matching event fires."""
    once_within: Duration | None = None
    """While the condition stays true, fire again at most so often."""
    require_consecutive: StrictBool | ConsecutivePart = False
    """Only an unbroken run of matching events counts."""
    min_components: Annotated[StrictInt, Field(ge=1)] | None = None
    """The events in the window must be about so many different components."""
    escalate: tuple[EscalatePart, ...] = ()
    resolve_after: Duration | None = None
    """Quiet for so long: the condition is over."""
    recommend: tuple[Name, ...] = ()
    """Actions that may help, best first."""
    tests: tuple[CasePart, ...] = ()


class RulesetPart(_Part):
    """A ruleset file."""

    ruleset: Name
    description: str = ""
    rules: tuple[RulePart, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate, the field it is of, and the bounds of its value."""

    name: str
    limit: Limit
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rule's escalation."""

    severity: IncidentSeverity
    aggregations: tuple[Aggregation, ...] = ()
    lasting: int | None = None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, checked and ready; spans are in microseconds."""

    id: str
    ruleset: str
    title: str
    incident_type: str
    severity: IncidentSeverity
    when: Condition
    description: str = ""
    enabled: bool = True
    unless: Condition | None = None
    group_by: tuple[Path, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    within: int = 0
    once_within: int | None = None
    consecutive: bool = False
    among: Condition | None = None
    min_components: int | None = None
    escalate: tuple[Step, ...] = ()
    resolve_after: int | None = None
    recommend: tuple[str, ...] = ()
    tests: tuple[CasePart, ...] = ()

    @property
    def windowed(self) -> bool:
        """Whether the rule has a window to judge."""
        return bool(self.aggregations)

    def threshold(self) -> tuple[str, float] | None:
        """Give the bound that people mean by the threshold, as operator and number."""
        bounds = self.aggregations[0].limit.bounds() if self.aggregations else ()
        return next((bound for bound in bounds if bound[0] in ("gte", "gt")), None)

    def with_changes(
        self,
        *,
        enabled: bool | None = None,
        threshold: float | None = None,
        within: int | None = None,
        severity: IncidentSeverity | None = None,
        require_consecutive: bool | None = None,
    ) -> Rule:
        """Give the rule with an operator's changes.

        Raises:
            ValueError: the rule has nothing that the change could apply to, or a ruleset could not
                say so either.
        """
        rule = self
        if enabled is not None:
            rule = replace(rule, enabled=enabled)
        if severity is not None:
            rule = replace(rule, severity=severity)
        if require_consecutive is not None:
            if not rule.windowed:
                raise ValueError(f"rule {self.id!r} has no window, so no run of events to require")
            rule = replace(rule, consecutive=require_consecutive)
        if within is not None:
            if not rule.windowed:
                raise ValueError(f"rule {self.id!r} has no window whose length could change")
            if within == 0:
                raise ValueError("'within': expected more than 0s")
            if ends_too_soon(rule.resolve_after, within, rule.aggregations):
                raise ValueError("'within': longer than the rule's 'resolve_after'")
            rule = replace(rule, within=within)
        if threshold is not None:
            rule = replace(rule, aggregations=_with_threshold(rule, threshold))
        return rule

    def content_hash(self) -> str:
        """Hash all that decides what the rule finds: 16 hexadecimal digits."""
        content = _tagged(replace(self, tests=(), enabled=True))
        raw = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(raw).hexdigest()[:16]


def _tagged(value: Any) -> Any:
    """Turn a rule into JSON in which things of different classes are never alike."""
    if isinstance(value, BaseModel):
        return [type(value).__name__, value.model_dump(mode="json", exclude_none=True)]
    if is_dataclass(value):
        parts = {part.name: _tagged(getattr(value, part.name)) for part in fields(value)}
        return [type(value).__name__, parts]
    if isinstance(value, tuple):
        return [_tagged(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return {"int": str(value)}
    return value


def ends_too_soon(
    resolve_after: int | None, within: int, aggregations: tuple[Aggregation, ...]
) -> bool:
    """Say whether quiet would end a condition that the window still holds."""
    bounds = {name for a in aggregations for name, _ in a.limit.bounds()}
    return resolve_after is not None and resolve_after < within and not bounds <= {"gte", "gt"}


def _with_threshold(rule: Rule, threshold: float) -> tuple[Aggregation, ...]:
    bound = rule.threshold()
    if bound is None:
        raise ValueError(f"rule {rule.id!r} has no threshold that could change")
    try:
        _number(threshold)
    except ValueError as error:
        raise ValueError(f"'threshold': {error}") from error
    first, *rest = rule.aggregations
    limit = first.limit.model_copy(update={bound[0]: threshold})
    return (replace(first, limit=limit), *rest)
