"""What each operator means: the reference that compiled conditions are held against."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.streams import event, load
from tocsin.models import IncidentEvent
from tocsin.rules.conditions import (
    MAX_SEARCHED,
    All,
    AnyOf,
    Comparison,
    Condition,
    Not,
    event_types,
    for_event_type,
    holds,
    paths,
)
from tocsin.rules.fields import format_path, getter, parse_path

MISSING = object()
NAN, INF = float("nan"), float("inf")


def record(value: Any) -> IncidentEvent:
    return event("e", metadata={} if value is MISSING else {"x": value})


def condition(written: Any) -> Condition:
    return load({"when": written})[0].when


@pytest.mark.parametrize(
    ("test", "yes", "no"),
    [
        (500, [500, 500.0], [501, "500", True, None, MISSING, [500], {"x": 500}, NAN, INF]),
        (1, [1, 1.0], [True, "1", 0]),
        (1.5, [1.5], ["1.5", 1, 2]),
        (True, [True], [1, 1.0, "true", False, MISSING]),
        ("", [""], [None, MISSING, " ", [], False, 0]),
        ("é", ["é"], ["e", "E\u0301", "\ud800"]),
        ({"ne": 5}, [4, "5", None, MISSING, True, [5], NAN], [5, 5.0]),
        ({"lt": 5}, [4, 4.999, -(10**400), -1e308], [5, 5.0, "4", True, None, MISSING, -INF]),
        ({"lte": 5}, [5, 5.0, -1], [5.0001, 10**400, False]),
        ({"gt": 5}, [5.0001, 10**400, 1e308], [5, "6", True, INF, NAN, [6]]),
        ({"gte": 0}, [0, -0.0, 0.0, 1], [-1e-300, False, "", None]),
        ({"gt": 2**53}, [2**53 + 1], [2**53, float(2**53)]),
        ({"gt": "b"}, ["c", "ba", "é", "\ud800"], ["b", "a", "B", "", 3, MISSING]),
        ({"lt": ""}, [], ["", "a", None, MISSING, 0]),
        ([1, "a", True], [1, 1.0, "a", True], ["1", "b", False, 0, None, MISSING, [1]]),
        ({"not_in": [1, "a"]}, ["1", None, MISSING, [1], True], [1, 1.0, "a"]),
        ({"exists": True}, ["", 0, False, [], {}], [None, MISSING, NAN, INF]),
        ({"exists": False}, [None, MISSING, NAN], ["", 0, False, [], {}]),
        ({"contains": "b"}, ["abc", ["b"], ["a", "b"]], ["B", ["bb"], {"b": 1}, 1, MISSING, []]),
        ({"contains": 1}, [[1], [1.0]], ["1", [True], ["1"], 1, [[1]]]),
        ({"contains": ""}, ["", "a", [""]], [[], ["a"], MISSING]),
        ({"starts_with": "ab"}, ["ab", "abc"], ["a", "xab", ["ab"], "AB", MISSING]),
        ({"ends_with": "yz"}, ["yz", "xyz"], ["z", "yza", ["yz"], MISSING]),
        ({"matches": "b+"}, ["abbc", "b"], ["ac", "", 1, ["b"], MISSING]),
        ({"matches": "^b$"}, ["b"], ["ab", "b\n", "b\nc"]),
        ({"matches": "(?i)é."}, ["É!", "xéé"], ["e", "é"]),
        ({"matches": "^.$"}, ["日", "\ud800"], ["日本", ""]),
        ({"between": [1, 3]}, [1, 2.5, 3.0], [0.999, 4, "2", True, MISSING]),
        ({"between": ["b", "d"]}, ["b", "cc", "d"], ["a", "da", 2]),
        (
            {"cidr": "10.0.0.0/8"},
            ["10.1.2.3"],
            ["11.0.0.1", "10.1.2.3/8", "::ffff:10.0.0.1", 1, "x"],
        ),
        (
            {"cidr": ["10.0.0.7/24", "2001:db8::/32"]},
            ["10.0.0.200", "2001:db8::1"],
            ["10.0.1.0", "::1"],
        ),
        ({"cidr": "0.0.0.0/0"}, ["1.2.3.4"], ["", "1.2.3", "::1", "1" * 99, MISSING]),
        ({"gte": 1, "lt": 3}, [1, 2.5], [0, 3]),
    ],
)
def test_operator(test: Any, yes: list[Any], no: list[Any]) -> None:
    written = condition({"metadata.x": test})
    assert [value for value in yes if not holds(written, record(value))] == []
    assert [value for value in no if holds(written, record(value))] == []


@pytest.mark.parametrize(
    ("test", "left", "right", "expected"),
    [
        ("eq", 1, 1.0, True),
        ("eq", 1, True, False),
        ("eq", "a", "a", True),
        ("eq", None, None, False),
        ("ne", None, None, True),
        ("gt", 3, 2, True),
        ("gt", "b", "a", True),
        ("gt", True, False, False),
        ("lte", 2, "3", False),
        ("gte", MISSING, 0, False),
    ],
)
def test_another_field(test: str, left: Any, right: Any, expected: bool) -> None:
    written = condition({"metadata.x": {test: {"field": "metadata.y"}}})
    found = {"y": right} if left is MISSING else {"x": left, "y": right}
    assert holds(written, event("e", metadata=found)) is expected


@pytest.mark.parametrize(
    ("test", "matching"),
    [
        ("high", {"high"}),
        ({"gte": "medium"}, {"medium", "high", "critical"}),
        ({"lt": "medium"}, {"low"}),
        (["low", "critical"], {"low", "critical"}),
        ({"between": ["medium", "high"]}, {"medium", "high"}),
        ({"ne": "low"}, {"medium", "high", "critical"}),
    ],
)
def test_severities_are_ordered_by_what_they_mean(test: Any, matching: set[str]) -> None:
    written = condition({"severity": test})
    all_of_them = ("low", "medium", "high", "critical")
    assert {s for s in all_of_them if holds(written, event("e", severity=s))} == matching


def test_groups() -> None:
    x, y = {"metadata.x": 1}, {"metadata.y": 1}
    both = event("both", metadata={"x": 1, "y": 1})
    one = event("one", metadata={"x": 1})
    none = event("none")
    for written, expected in (
        ({**x, **y}, [True, False, False]),
        ({"all": [x, y]}, [True, False, False]),
        ({"any": [x, y]}, [True, True, False]),
        ({"not": {**x, **y}}, [False, True, True]),
        ({"any": [y, {"not": x}], **x}, [True, False, False]),
    ):
        assert [holds(condition(written), found) for found in (both, one, none)] == expected


def test_patterns_look_at_a_bounded_part_of_a_text() -> None:
    written = condition({"metadata.x": {"matches": "needle"}})
    assert holds(written, record("." * (MAX_SEARCHED - 6) + "needle"))
    assert not holds(written, record("." * (MAX_SEARCHED - 5) + "needle"))


@pytest.mark.timeout(60)
def test_no_pattern_takes_long() -> None:
    """Takes for ever where patterns are tried by going back and forth."""
    written = condition({"metadata.x": {"matches": "^(a+)+$"}})
    assert not holds(written, record("a" * 60_000 + "!"))


def test_nested_fields_and_names_with_dots() -> None:
    found = event("e", metadata={"a": {"b": {"c": 1}}, "a.b": {"c": 2}})
    assert holds(condition({"metadata.a.b.c": 1}), found)
    assert holds(condition({'metadata."a.b".c': 2}), found)
    assert not holds(condition({"metadata.a.b.c.d": {"exists": True}}), found)


PARTS = st.text(min_size=1, max_size=8)


@given(st.lists(PARTS, min_size=1, max_size=15))
@settings(deadline=None)
def test_every_path_can_be_written(parts: list[str]) -> None:
    path = ("metadata", *parts)
    assert parse_path(format_path(path)) == path


@given(st.text(max_size=20))
@settings(deadline=None)
def test_what_is_not_a_path_is_refused(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    getter(path)(event("e", metadata={"a": 1}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorce", "did you mean 'source'?"),
        ("metadata", "expected a name below metadata"),
        ("source.x", "'source' has no parts"),
        ("metadata.", "expected a field"),
        ("metadata..x", "expected a field"),
        ("", "expected a field"),
        ('metadata."x', "expected a field"),
        ('metadata."x"y', "expected a dot"),
        ("timestamp", "unknown field 'timestamp'"),
        ("metadata" + ".x" * 16, "at most 16 parts"),
    ],
)
def test_a_wrong_path_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        parse_path(text)


def of_type(operator: str, operand: Any) -> Comparison:
    return Comparison(("event_type",), operator, operand)


X = Comparison(("metadata", "x"), "eq", 1)


@pytest.mark.parametrize(
    ("written", "types"),
    [
        (of_type("eq", "a"), {"a"}),
        (of_type("in", ("a", "b")), {"a", "b"}),
        (of_type("ne", "a"), None),
        (Not(of_type("eq", "a")), None),
        (X, None),
        (All((X, of_type("eq", "a"))), {"a"}),
        (All((of_type("in", ("a", "b")), of_type("in", ("b", "c")))), {"b"}),
        (All((of_type("eq", "a"), of_type("eq", "b"))), set()),
        (AnyOf((of_type("eq", "a"), of_type("eq", "b"))), {"a", "b"}),
        (AnyOf((of_type("eq", "a"), X)), None),
        (of_type("eq", 5), None),
    ],
)
def test_event_types(written: Condition, types: set[str] | None) -> None:
    assert event_types(written) == types


@pytest.mark.parametrize(
    ("written", "simple"),
    [
        (of_type("eq", "a"), True),
        (of_type("starts_with", "b"), False),
        (All((of_type("eq", "a"), X)), X),
        (AnyOf((of_type("eq", "a"), X)), True),
        (AnyOf((of_type("eq", "b"), X)), X),
        (Not(of_type("eq", "a")), False),
        (All((X, Not(AnyOf((of_type("eq", "a"), X))))), False),
        (All(()), True),
    ],
)
def test_for_event_type(written: Condition, simple: Any) -> None:
    assert for_event_type(written, "a") == simple


def test_paths() -> None:
    written = condition(
        {"any": [{"source": {"eq": {"field": "metadata.y"}}}, {"not": {"metadata.x.z": 1}}]}
    )
    assert paths(written) == {("source",), ("metadata", "y"), ("metadata", "x", "z")}
