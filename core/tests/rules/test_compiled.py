"""Compiled conditions, judged by the real engine, mean what the reference says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from rules.streams import Player, event, load
from tocsin.models import Detection, IncidentEvent
from tocsin.rules.compiler import compile_conditions
from tocsin.rules.conditions import (
    ORDER,
    All,
    AnyOf,
    Comparison,
    Condition,
    Not,
    Other,
    holds,
)
from tocsin.rules.engine import Engine
from tocsin.rules.matcher import InlineMatcher

TYPES = ("fail", "fine", "detection.x", "$s", "日本")
PATHS = (
    ("metadata", "a"),
    ("metadata", "b"),
    ("metadata", "c", "d"),
    ("metadata", "$s"),
    ("event_type",),
    ("source",),
    ("message",),
    ("correlation_id",),
)
HUGE = 10**400
NUMBERS: tuple[int | float, ...] = (
    *(0, 1, -1, 2, 500, 2**31, 2**53, 2**53 + 1, 2**63, -(2**64), HUGE, -HUGE),
    *(0.0, -0.0, 1.0, 0.5, 1e-7, 1e16, 1e-300, 5e-324, 1.7e308, float(2**53), 499.99999999999994),
)
TEXTS = (
    *("", "0", "1", "1.0", "true", "a", "ab", "abc", "b", "B", "é", "日本", "\U0001f600", "null"),
    *("\0", "\ud800", "\udfff x", '"', "\\", "\\u0061", "$s", "10.0.0.1", "::1", "a\nb", "fail"),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, math.nan, math.inf, -math.inf, [], {}, [1, "a", True], [[1]]),
    *(["\ud800", HUGE], {"d": 1}, {"d": {"d": 1}}, {"": 0}),
)
NETWORKS = ("10.0.0.0/8", "0.0.0.0/0", "::/0", "10.0.0.1")
PATTERNS = ("a", "^a", "b$", "^$", r"\d+", "(?i)AB", ".", "日", "^[^a]*$")

constants = st.sampled_from((*NUMBERS, *TEXTS, True, False))
texts = st.sampled_from(TEXTS)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    path = draw(st.sampled_from(PATHS))
    kind = draw(
        st.sampled_from(("constant", "constant", "order", "between", "list", "text", "else"))
    )
    match kind:
        case "constant":
            return Comparison(path, draw(st.sampled_from(("eq", "ne"))), draw(constants))
        case "order":
            bound = draw(st.sampled_from((*NUMBERS, *TEXTS)))
            return Comparison(path, draw(st.sampled_from(ORDER)), bound)
        case "between":
            one_kind = st.sampled_from(NUMBERS) | st.sampled_from(TEXTS)
            low = draw(one_kind)
            kinds = TEXTS if isinstance(low, str) else NUMBERS
            high = draw(st.sampled_from([c for c in kinds if c >= low]))  # type: ignore[operator]
            return Comparison(path, "between", (low, high))
        case "list":
            items = tuple(draw(st.lists(constants, min_size=1, max_size=5)))
            return Comparison(path, draw(st.sampled_from(("in", "not_in"))), items)
        case "text":
            operator = draw(st.sampled_from(("contains", "starts_with", "ends_with")))
            return Comparison(path, operator, draw(texts.filter(bool)))
        case _:
            other = Other(draw(st.sampled_from(PATHS)))
            return Comparison(
                path,
                *draw(
                    st.sampled_from(
                        (
                            ("exists", True),
                            ("exists", False),
                            ("contains", 1),
                            ("matches", draw(st.sampled_from(PATTERNS))),
                            ("cidr", (draw(st.sampled_from(NETWORKS)),)),
                            *((operator, other) for operator in ("eq", "ne", *ORDER)),
                        )
                    )
                ),
            )


def groups(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    parts = st.lists(inner, min_size=0, max_size=4).map(tuple)
    return st.one_of(parts.map(All), parts.map(AnyOf), inner.map(Not))


conditions = st.recursive(comparisons(), groups, max_leaves=12)

scalars: st.SearchStrategy[JsonValue] = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from(ODD),
    st.integers(),
    st.floats(),
    st.text(),
)


@st.composite
def records(draw: st.DrawFn) -> IncidentEvent:
    metadata: dict[str, JsonValue] = {}
    for name in ("a", "b", "$s"):
        if draw(st.booleans()):
            metadata[name] = draw(scalars)
    if draw(st.booleans()):
        metadata["c"] = {"d": draw(scalars), "c.d": 1}
    # Keys that would mean something to the engine, were they ever to reach it.
    metadata |= draw(
        st.sampled_from(({}, {"sid": "x", "id": 1, "$and": [1], "c.d": 1, "c0": 4, "": 0}))
    )
    plain = st.sampled_from([text for text in TEXTS if text and text.isprintable()])
    return event(
        "e",
        event_type=draw(st.sampled_from(TYPES) | plain),
        source=draw(plain),
        message=draw(texts),
        correlation_id=draw(st.none() | plain),
        severity=draw(st.sampled_from(("low", "critical"))),
        metadata=metadata,
    )


def judged(
    named: Sequence[tuple[str, Condition]], events: Sequence[IncidentEvent]
) -> list[set[str] | None]:
    """Give the names of the conditions that the engine finds true of each event."""
    program = compile_conditions(named)
    matcher = InlineMatcher(program)
    result: list[set[str] | None] = []
    for found in events:
        numbers = program.by_type.get(found.event_type, program.otherwise)
        questions = [(number, program.shards[number].project(found)) for number in numbers]
        verdicts = matcher.judge(questions)
        names: set[str] | None = set()
        for number, verdict in zip(numbers, verdicts, strict=True):
            if verdict is None or names is None:
                names = None
            else:
                names |= {program.shards[number].names[index] for index in verdict}
        result.append(names)
    return result


def referred(
    named: Sequence[tuple[str, Condition]], events: Sequence[IncidentEvent]
) -> list[set[str] | None]:
    return [{name for name, condition in named if holds(condition, one)} for one in events]


@given(st.lists(conditions, min_size=1, max_size=10), st.lists(records(), min_size=5, max_size=15))
@settings(max_examples=80, deadline=None)
def test_agrees_with_the_reference(written: list[Condition], events: list[IncidentEvent]) -> None:
    named = [(f"n{number}", condition) for number, condition in enumerate(written)]
    assert judged(named, events) == referred(named, events)


FIELD = ("metadata", "a")
MIXED: tuple[Any, ...] = (0, 1, 1.0, "1", "", True, False, "true", 2**53, float(2**53), 2**53 + 1)


def test_one_field_and_constants_of_every_kind() -> None:
    """All of them in one definition, so that a code of one could be taken for that of another."""
    written: list[Condition] = [
        Comparison(FIELD, operator, constant) for operator in ("eq", "ne") for constant in MIXED
    ]
    written += [
        Comparison(FIELD, operator, constant)
        for operator in ORDER
        for constant in MIXED
        if not isinstance(constant, bool)
    ]
    written += [Not(condition) for condition in written]
    named = [(f"n{number}", condition) for number, condition in enumerate(written)]
    events = [event(i, metadata={"a": v}) for i, v in enumerate((*MIXED, *NUMBERS, *TEXTS, *ODD))]
    events.append(event("none"))
    assert judged(named, events) == referred(named, events)


@given(st.data())
@settings(max_examples=5, deadline=None)
def test_many_conditions_over_several_types(data: st.DataObject) -> None:
    few = data.draw(st.lists(conditions, min_size=10, max_size=30), label="conditions")
    named = []
    for number in range(300):
        condition = few[number % len(few)]
        kind = Comparison(("event_type",), "eq", TYPES[number % 7 % len(TYPES)])
        named.append((f"n{number}", All((kind, condition)) if number % 4 else condition))
    events = data.draw(st.lists(records(), min_size=20, max_size=30), label="events")
    assert judged(named, events) == referred(named, events)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        "abc" + "\0" * 65_536,
        "\ud800" * 100_000,
        [0] * 100_000,
        [[[[[]]]]] * 1_000,
        HUGE,
        {f"key {n}": {"sid": "1"} for n in range(1_000)},
    ],
    ids=lambda value: type(value).__name__,
)
def test_huge_values(value: JsonValue) -> None:
    named: list[tuple[str, Condition]] = [
        ("short", Comparison(FIELD, "eq", "abc")),
        ("prefix", Comparison(FIELD, "starts_with", "abc")),
        ("end", Comparison(FIELD, "ends_with", "x")),
        ("more", Comparison(FIELD, "gt", "w")),
        ("there", Comparison(FIELD, "exists", True)),
        ("other", Comparison(FIELD, "eq", Other(("metadata", "b")))),
        ("same", Comparison(FIELD, "ne", Other(FIELD))),
        ("matches", Comparison(FIELD, "matches", "^x+$")),
    ]
    events = [
        event("alone", metadata={"a": value}),
        event("with other", metadata={"a": value, "b": value}),
        event("below", metadata={"c": {"d": value}}),
    ]
    assert judged(named, events) == referred(named, events)


def test_deeply_nested_values() -> None:
    value: JsonValue = 1
    for _ in range(70):
        value = {"d": [value]}
    named = [("d", Comparison(("metadata", "c", "d"), "exists", True))]
    events = [event("deep", metadata={"c": value}), event("flat", metadata={"c": 1})]
    assert judged(named, events) == [{"d"}, set()]


def test_no_condition_at_all() -> None:
    assert judged([], [event("e")]) == [set()]
    assert judged([("all", All(())), ("any", AnyOf(()))], [event("e")]) == [{"all"}]


def test_engine_asks_for_each_kind_of_event_once() -> None:
    """What no rule tells apart is judged once; what one does, is not."""
    engine = Engine(load({"when": {"metadata.a": {"gte": 10}}}, {"when": {"event_type": "b"}}))
    player = Player(engine)
    first = [event(n, metadata={"a": n}) for n in range(5)]
    assert len(engine.prepare(first).questions()) == 1
    player.play(first)
    assert engine.prepare([event("e", metadata={"a": 9, "z": "new"})]).questions() == []
    assert len(engine.prepare([event("e", metadata={"a": 10})]).questions()) == 1
    assert len(engine.prepare([event("e", event_type="b", metadata={"a": 9})]).questions()) == 2


def test_unless_takes_away_what_when_finds() -> None:
    rules = load({"when": {"metadata.a": {"gt": 1}}, "unless": {"metadata.a": {"gt": 3}}})
    signals = Player(Engine(rules)).play([event(n, n, metadata={"a": n}) for n in range(6)])
    assert [s.event_ids for s in signals if isinstance(s, Detection)] == [("2",), ("3",)]
