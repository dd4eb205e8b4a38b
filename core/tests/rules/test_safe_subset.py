"""Nothing reaches durable-rules that is known to crash it, hang it or make it answer wrongly."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.streams import event, load
from tocsin.errors import MatcherError, RulesetError
from tocsin.models import IncidentEvent
from tocsin.rules.compiler import PROBE, Definition, check_definition, compile_conditions
from tocsin.rules.conditions import OPERATORS, holds
from tocsin.rules.schema import Rule
from tocsin.rules.worker import WorkerMatcher

PROBE_RULE = {"all": [{"m": {PROBE: 1}}]}


def one(expression: Any) -> Definition:
    return {PROBE: PROBE_RULE, "r0": {"all": [{"m": expression}]}}


def many(expressions: Sequence[Any]) -> Definition:
    rules = {f"r{number}": {"all": [{"m": e}]} for number, e in enumerate(expressions)}
    return {PROBE: PROBE_RULE, **rules}


def deep(depth: int) -> Any:
    expression: Any = {"c0": 1}
    for _ in range(depth):
        expression = {"$and": [{"c1": 1}, expression]}
    return expression


REFUSED: dict[str, Definition] = {
    "three-way equality join": {
        PROBE: PROBE_RULE,
        "r0": {
            "all": [
                {"a": {"c0": 1}},
                {"b": {"$and": [{"c0": 1}, {"c1": {"a": "c1"}}]}},
                {"c": {"$and": [{"c0": 2}, {"c1": {"a": "c1"}}]}},
            ]
        },
    },
    "two conditions named m": {PROBE: PROBE_RULE, "r0": {"all": [{"m": {"c0": 1}}] * 2}},
    "a second condition beside m": {
        PROBE: PROBE_RULE,
        "r0": {"all": [{"m": {"c0": 1}, "n": {"c0": 2}}]},
    },
    "$or in a join": {
        PROBE: PROBE_RULE,
        "r0": {
            "all": [
                {"m0": {"$lte": {"c0": 2}}},
                {"m1": {"$or": [{"c1": {"m0": "c1"}}, {"$lte": {"c2": 1}}]}},
            ]
        },
    },
    "reference to another message": one({"c0": {"a": "c1"}}),
    "reference to the same message": one({"c0": {"$m": "c1"}}),
    "$div": one({"$gt": {"c0": {"$div": {"$l": {"$m": "c1"}, "$r": {"$m": "c2"}}}}}),
    "$add": one({"c0": {"$add": {"$l": 1, "$r": 1}}}),
    "any": {PROBE: PROBE_RULE, "r0": {"any": [{"m": {"c0": 1}}]}},
    "nested all": {PROBE: PROBE_RULE, "r0": {"all": [{"m$all": [{"m": {"c0": 1}}]}]}},
    "absence": {PROBE: PROBE_RULE, "r0": {"all": [{"m$not": {"c0": 1}}]}},
    "count": {PROBE: PROBE_RULE, "r0": {"all": [{"m": {"c0": 1}}], "count": 3}},
    "cap": {PROBE: PROBE_RULE, "r0": {"all": [{"m": {"c0": 1}}], "cap": 3}},
    "pri": {PROBE: PROBE_RULE, "r0": {"pri": 1, "all": [{"m": {"c0": 1}}]}},
    "span": {PROBE: PROBE_RULE, "r0": {"all": [{"m": {"c0": 1}}], "span": 5}},
    "no condition": {PROBE: PROBE_RULE, "r0": {"all": []}},
    "statechart": {PROBE: PROBE_RULE, "r0": {"to": "r1"}},
    "sid": one({"sid": "x"}),
    "id": one({"id": 1}),
    "state fact": one({"$s": 1}),
    "existence": one({"$ex": {"c0": 1}}),
    "absence of a field": one({"$nex": {"c0": 1}}),
    "pattern": one({"$mt": {"c0": "a{2000}"}}),
    "all of a list": one({"$iall": {"c0": {"$i": 1}}}),
    "any of a list": one({"$iany": {"c0": {"$i": 1}}}),
    "nested field": one({"c0.x": 1}),
    "field of any name": one({"status": 1}),
    "long name": one({"c" + "0" * 200_000: 1}),
    "NaN": one({"c0": math.nan}),
    "infinity": one({"c0": math.inf}),
    "float": one({"c0": 1e-7}),
    "text": one({"c0": "x"}),
    "boolean": one({"c0": True}),
    "null": one({"c0": None}),
    "list": one({"c0": [1]}),
    "negative": one({"c0": -1}),
    "over 64 bits": one({"c0": 2**63}),
    "empty expression": one({}),
    "two in one expression": one({"c0": 1, "c1": 1}),
    "empty $and": one({"$and": []}),
    "empty $or": one({"$or": []}),
    "$or of one": one({"$or": [{"c0": 1}]}),
    "$or with an empty part": one({"$or": [{"c0": 1}, {}]}),
    "$or of 70 parts": one({"$or": [{"c0": n} for n in range(70)]}),
    "$or in $and that explodes": one(
        {"$and": [{"$or": [{f"c{i}": 1}, {f"c{i}": 2}]} for i in range(8)]}
    ),
    "257 rules with the same condition": many([{"c0": 1}] * 257),
    "41 rules": many([{"c0": 1}] * 41),
    "512 values of one field": many([{"c0": n} for n in range(512)]),
    "512 values in one rule": one({"$and": [{"$neq": {"c0": n}} for n in range(512)]}),
    "512 fields": many([{f"c{n}": 1} for n in range(512)]),
    "two rules with 300 values each": many(
        [{"$or": [{"c0": 300 * rule + n} for n in range(300)]} for rule in range(2)]
    ),
    "deep nesting": one(deep(30)),
    "very deep nesting": one(deep(900)),
    "no probe": {"r0": {"all": [{"m": {"c0": 1}}]}},
    "another probe": {PROBE: {"all": [{"m": {"c0": 1}}]}},
    "rule of any name": {PROBE: PROBE_RULE, "r0 $x": {"all": [{"m": {"c0": 1}}]}},
    "rule that is none": {PROBE: PROBE_RULE, "r0": None},
    "long rule name": {PROBE: PROBE_RULE, "r" + "0" * 300: {"all": [{"m": {"c0": 1}}]}},
    "empty": {},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_harms_the_engine_is_refused(what: str) -> None:
    with pytest.raises(MatcherError):
        check_definition(REFUSED[what])


def test_the_refused_cases_are_refused_for_what_they_are() -> None:
    check_definition(one({"c0": 1}))
    check_definition(one(deep(8)))
    check_definition(many([{"$or": [{"c0": 1}, {"$gt": {"c1": 2}}]} for _ in range(24)]))


# -- what the loader accepts ---------------------------------------------------------------------


def measured(expression: dict[str, Any]) -> tuple[int, list[str], int]:
    """Measure an expression: ways in which it can match, its comparisons, its depth."""
    ((key, value),) = expression.items()
    if key not in ("$and", "$or"):
        return 1, [repr(expression)], 1
    parts = [measured(part) for part in value]
    ways = [part[0] for part in parts]
    leaves = [leaf for part in parts for leaf in part[1]]
    return (
        math.prod(ways) if key == "$and" else sum(ways),
        leaves,
        1 + max(part[2] for part in parts),
    )


def assert_safe(definition: Definition) -> None:
    """Check the limits below which the engine was measured to be safe, counted anew here."""
    check_definition(definition)
    rules = {name: rule for name, rule in definition.items() if name != PROBE}
    assert len(rules) <= 40
    ways, leaves = 0, []
    for rule in rules.values():
        ((condition,),) = (rule["all"],)
        more, comparisons, depth = measured(condition["m"])
        ways += more
        leaves += comparisons
        assert depth <= 11
    assert ways <= 48
    assert len(leaves) <= 200
    assert all(leaves.count(leaf) < 200 for leaf in leaves)


values = st.sampled_from((0, 1, 2.5, "a", "b", True))
operands = {
    **dict.fromkeys(("eq", "ne"), values),
    **dict.fromkeys(("lt", "lte", "gt", "gte"), st.sampled_from((1, 2.5, "m"))),
    **dict.fromkeys(("in", "not_in"), st.lists(values, min_size=1, max_size=4)),
    "exists": st.booleans(),
    **dict.fromkeys(("contains", "starts_with", "ends_with", "matches"), st.just("a")),
    "between": st.just([1, 2]),
    "cidr": st.just("10.0.0.0/8"),
}
assert set(operands) == set(OPERATORS)
fields = st.sampled_from([f"metadata.f{number}" for number in range(6)] + ["source", "event_type"])


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(OPERATORS))
    operand: Any = draw(operands[operator])
    if operator in ("eq", "ne", "lt", "lte", "gt", "gte") and draw(st.integers(0, 4)) == 0:
        operand = {"field": draw(fields)}
    return {draw(fields): {operator: operand}}


def mappings(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=6)
    return st.one_of(
        lists.map(lambda parts: {"all": parts}),
        lists.map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    )


conditions = st.recursive(comparisons(), mappings, max_leaves=40)


@given(st.lists(conditions, min_size=1, max_size=12), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_what_the_loader_accepts_compiles_into_the_safe_subset(
    written: list[dict[str, Any]], times: int
) -> None:
    rules = load(*({"when": when} for when in written * times))
    program = compile_conditions((rule.id, rule.when) for rule in rules)
    for shard in program.shards:
        assert_safe(shard.definition)
        assert len(shard.columns) <= 200
    every = {index for numbers in program.by_type.values() for index in numbers}
    assert every | set(program.otherwise) == set(range(len(program.shards)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, [], {}, "x" * 5_000])
def test_constants_without_a_place_are_refused_by_the_loader(value: Any) -> None:
    with pytest.raises(RulesetError):
        load({"when": {"metadata.x": {"eq": value}}})


def test_names_in_definitions_do_not_collide() -> None:
    """The engine tells names apart by 32 bits of a hash."""
    names = [f"c{n}" for n in range(1_000)] + [f"r{n}" for n in range(40)] + [PROBE, "k", "m"]
    names += ["id", "sid", "all", "any", "pri", "count", "cap", "dist", "$s"]
    names += ["$and", "$or", "$lt", "$lte", "$gt", "$gte", "$neq", "$ex", "$nex", "$m"]
    assert len({fnv(name) for name in names}) == len(names)


def fnv(text: str) -> int:
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


# -- rulesets that would break the engine --------------------------------------------------------


def answers(rules: Sequence[Rule], events: Sequence[IncidentEvent]) -> list[set[str]]:
    """Ask the engine in a process of its own, which must neither die nor take long."""
    named = [(rule.id, rule.when) for rule in rules]
    program = compile_conditions(named)
    asked: list[list[tuple[int, Any]]] = [
        [
            (number, program.shards[number].project(found))
            for number in program.by_type.get(found.event_type, program.otherwise)
        ]
        for found in events
    ]

    async def ask() -> list[Any]:
        matcher = WorkerMatcher(program, deadline=15)
        try:
            verdicts = await matcher.match(list(itertools.chain.from_iterable(asked)))
        finally:
            await matcher.close()
        assert matcher.respawns == 0
        return verdicts

    verdicts = iter(asyncio.run(ask()))
    return [
        {program.shards[number].names[index] for number, _ in questions for index in next(verdicts)}
        for questions in asked
    ]


def expected(rules: Sequence[Rule], events: Sequence[IncidentEvent]) -> list[set[str]]:
    return [{rule.id for rule in rules if holds(rule.when, found)} for found in events]


def numbered(values: Sequence[int], **more: Any) -> list[IncidentEvent]:
    return [event(value, metadata={"n": value, **more}) for value in values]


def test_600_rules_that_all_match_one_event() -> None:
    rules = load(*({"when": {"event_type": "fail", "metadata.n": {"gte": n}}} for n in range(600)))
    events = [*numbered([-1, 0, 299, 599, 1000]), event("none")]
    assert [len(names) for names in answers(rules, events)] == [0, 1, 300, 600, 600, 0]


def test_600_rules_with_the_same_condition() -> None:
    rules = load(*[{"when": {"event_type": "fail", "metadata.n": 1}}] * 600)
    assert [len(names) for names in answers(rules, numbered([1, 2]))] == [600, 0]


def test_600_rules_that_are_each_for_any_type() -> None:
    rules = load(*({"when": {"metadata.n": n}} for n in range(600)))
    events = numbered([0, 599, 600])
    assert answers(rules, events) == expected(rules, events)


def test_lists_of_1000_values() -> None:
    rules = load(
        *(
            {"when": {"event_type": "fail", "metadata.n": {operator: list(range(low, low + 1000))}}}
            for low in (0, 500, 10_000)
            for operator in ("in", "not_in")
        ),
        {"when": {"any": [{"metadata.n": n} for n in range(1000)]}},
        {"when": {"all": [{"metadata.n": {"ne": n}} for n in range(1000)]}},
    )
    events = numbered([0, 499, 500, 999, 1499, 1500, 10_500])
    assert answers(rules, events) == expected(rules, events)


def test_600_fields() -> None:
    rules = load(*({"when": {"event_type": "fail", f"metadata.f{n}": n}} for n in range(600)))
    events = [
        event("all", metadata={f"f{n}": n for n in range(600)}),
        event("some", metadata={f"f{n}": n for n in range(0, 600, 7)}),
        event("none"),
    ]
    assert answers(rules, events) == expected(rules, events)


def test_alternatives_that_would_explode() -> None:
    """Twelve choices of three are half a million ways to match, each of them a match of its own."""
    when = {
        "event_type": "fail",
        "all": [
            {"any": [{"all": [{f"metadata.f{n}": v}, {"metadata.n": {"gt": v}}]} for v in range(3)]}
            for n in range(12)
        ],
    }
    rules = load({"when": when}, {"when": {"not": when}}, {"when": {"any": [when, {"not": when}]}})
    events = [
        event("yes", metadata={"n": 5, **{f"f{n}": n % 3 for n in range(12)}}),
        event("no", metadata={"n": 5, **{f"f{n}": n % 4 for n in range(12)}}),
        event("low", metadata={"n": 1, **{f"f{n}": n % 3 for n in range(12)}}),
    ]
    assert answers(rules, events) == expected(rules, events)
    assert [len(names) for names in answers(rules, events)] == [2, 2, 2]


def test_a_condition_nested_as_deep_as_the_loader_takes() -> None:
    when: dict[str, Any] = {"metadata.n": 1}
    for level in range(20):
        name = ("all", "any", "not")[level % 3]
        when = {"not": when} if name == "not" else {name: [when, {"metadata.n": {"lt": level}}]}
    rules = load({"when": when})
    events = numbered(range(-1, 22))
    assert answers(rules, events) == expected(rules, events)
    with pytest.raises(RulesetError, match="nested more than 20 deep"):
        load({"when": {"not": when}})
