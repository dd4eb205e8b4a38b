"""Ruleset files: every mistake at once, each where it is."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.streams import load
from tocsin.errors import RulesetError
from tocsin.rules.engine import Engine
from tocsin.rules.loader import load_files, load_mapping, load_text
from tocsin.rules.schema import Aggregation, CountLimit

GOOD = """\
ruleset: services
rules:
  - id: {id}
    title: trouble
    incident_type: error_burst
    severity: high
    when: {{event_type: error}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(RulesetError) as caught:
        load_text(dedent(text), path="r.yaml")
    return [str(problem) for problem in caught.value.problems]


def assert_problems(text: str, expected: list[str]) -> None:
    """Check that each problem starts with a place and contains the words behind the `|`."""
    found = problems(text)
    assert [line.partition(": ")[0] for line in found] == [e.split("|")[0] for e in expected]
    for line, wanted in zip(found, expected, strict=True):
        assert wanted.split("|")[1] in line


def test_ten_mistakes_of_every_kind() -> None:
    assert_problems(
        """\
        ruleset: services
        colour: red
        rules:
          - id: error_burst
            titel: errors
            title: "{cuont} errors from {source}"
            incident_type: error_burst
            severity: hgih
            when:
              event_typ: error
              metadata.status: {gte: [500]}
              metadata.text: {matchs: x}
              source: {matches: "(("}
            unless: {}
            group_by: [sorce]
          - id: 2nd
            title: second
            incident_type: Not A Name
            severity: low
            when: {event_type: x}
            window: {count: {gte: many}, within: 5 minutes}
        """,
        [
            "r.yaml:2:1|unknown field 'colour'; known: ruleset, description, rules",
            "r.yaml:5:5|unknown field 'titel'; did you mean 'title'?",
            "r.yaml:6:12|unknown name {cuont}; did you mean 'count'?",
            "r.yaml:6:12|unknown name {source}",
            "r.yaml:8:15|found 'hgih'; did you mean 'high'?",
            "r.yaml:10:7|unknown field 'event_typ'; did you mean 'event_type'?",
            "r.yaml:11:30|expected text, a number, true or false, found [500]",
            "r.yaml:12:23|unknown operator 'matchs'; did you mean 'matches'?",
            "r.yaml:13:25|not a pattern in RE2 syntax",
            "r.yaml:14:13|expected at least one field, found an empty mapping",
            "r.yaml:15:16|unknown field 'sorce'; did you mean 'source'?",
            "r.yaml:16:9|found '2nd'",
            "r.yaml:18:20|found 'Not A Name'",
            "r.yaml:21:27|expected a number, found 'many'",
            "r.yaml:21:42|expected a duration such as '30s', '5m' or '1h30m', found '5 minutes'",
        ],
    )


TEN_OF_MEANING = """\
ruleset: services
rules:
  - id: first
    title: "{cuont} errors"
    incident_type: error_burst
    severity: medium
    when: {event_type: x, sorce: y}
    window: {count: {gte: 5}, distinct: {field: sorce, gte: 3}, within: 0s}
    group_by: [source, source]
    require_consecutive: {among: {foo: 1}}
    escalate:
      - {if: {count: {}}, severity: low}
      - {if: {}, severity: high}
    tests:
      - {name: a, events: [], expect: []}
      - {name: a, events: [], expect: []}
"""
TEN_PLACES = [
    "r.yaml:4:12|unknown name {cuont}; did you mean 'count'?",
    "r.yaml:7:27|unknown field 'sorce'; did you mean 'source'?",
    "r.yaml:8:49|unknown field 'sorce'; did you mean 'source'?",
    "r.yaml:8:73|expected more than 0s",
    "r.yaml:9:24|field 'source' stands twice",
    "r.yaml:10:35|unknown field 'foo'",
    "r.yaml:12:22|expected a bound such as {gte: 5}",
    "r.yaml:12:37|expected a severity above medium, found low",
    "r.yaml:13:14|expected one of count, distinct, lasting, when",
    "r.yaml:16:16|another test is already named 'a'",
]


def test_ten_mistakes_in_what_a_rule_means() -> None:
    assert_problems(TEN_OF_MEANING, TEN_PLACES)


def test_a_mistake_in_the_form_does_not_hide_those_in_the_meaning() -> None:
    wrong = TEN_OF_MEANING.replace("incident_type: error_burst", "incident_type: Error Burst")
    found = {problem.partition(": ")[0] for problem in problems(wrong)}
    assert found == {"r.yaml:5:20", *(place.split("|")[0] for place in TEN_PLACES)}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"window": {"within": "5m"}}, "expected one of count, distinct"),
        ({"window": {"count": {"gte": 1}}}, "missing field 'within'"),
        ({"window": {"count": {"gte": True}, "within": 5}}, "expected a number, found true"),
        ({"window": {"count": {"gte": 1, "bt": 2}, "within": 5}}, "unknown field 'bt'"),
        ({"window": {"distinct": {"gte": 1}, "within": 5}}, "missing field 'field'"),
        ({"require_consecutive": True}, "'require_consecutive' needs a window"),
        ({"min_components": 2}, "'min_components' needs a window"),
        ({"min_components": 0}, "greater than or equal to 1"),
        ({"title": "{}"}, "unknown name {}"),
        ({"title": "{source}"}, "unknown name {source}"),
        ({"title": "{metadata.x}", "group_by": ["metadata.y"]}, "did you mean 'metadata.y'?"),
        ({"title": ""}, "at least 1 character"),
        ({"when": "event_type"}, "expected a mapping of fields to values, found 'event_type'"),
        ({"when": None}, "expected a mapping of fields to values, found nothing"),
        ({"when": {"any": []}}, "expected a list of conditions"),
        ({"when": {"all": {"source": "x"}}}, "expected a list of conditions, found a mapping"),
        ({"when": {"nto": {"source": "x"}}}, "did you mean 'not'?"),
        ({"when": {"source": None}}, "found nothing; use {exists: false}"),
        ({"when": {"source": {}}}, "expected an operator such as 'eq'"),
        ({"when": {"source": []}}, "'in' expects a list with at least one value"),
        ({"when": {"source": {"in": "x"}}}, "'in' expects a list"),
        ({"when": {"source": {"between": [2, 1]}}}, "expects the lower bound first"),
        ({"when": {"source": {"between": [1, "a"]}}}, "two numbers or two texts"),
        ({"when": {"source": {"between": [1]}}}, "'between' expects [low, high]"),
        ({"when": {"source": {"cidr": "10.0.0.0/33"}}}, "found '10.0.0.0/33'"),
        ({"when": {"source": {"cidr": []}}}, "'cidr' expects a network"),
        ({"when": {"source": {"exists": "yes"}}}, "'exists' expects true or false"),
        ({"when": {"source": {"gt": True}}}, "'gt' expects a number or text, found true"),
        ({"when": {"source": {"starts_with": 1}}}, "'starts_with' expects text, found 1"),
        ({"when": {"source": {"gt": {"field": "sorce"}}}}, "did you mean 'source'?"),
        ({"when": {"source": {"contains": {"field": "source"}}}}, "expected a value, or with eq"),
        ({"when": {"source": {"eq": {"feild": "source"}}}}, "another field as {field: NAME}"),
        ({"when": {"severity": "hgih"}}, "did you mean 'high'?"),
        ({"when": {"severity": {"starts_with": "h"}}}, "does not apply to severity"),
        ({"when": {"severity": {"lt": {"field": "metadata.x"}}}}, "with severities only"),
        ({"escalate": [{"if": {"count": {"gte": 2}}, "severity": "high"}]}, "needs a window"),
        ({"escalate": [{"if": {"lasting": 5}, "severity": "high"}]}, "or 'resolve_after'"),
        ({"escalate": [{"if": {"when": {"x": 1}}, "severity": "high"}]}, "unknown field 'x'"),
        ({"escalate": [{"severity": "high"}]}, "missing field 'if'"),
        ({"recommend": ["Restart!"]}, "found 'Restart!'"),
        ({"enabled": "yes"}, "found 'yes'"),
        ({"id": ""}, "found ''"),
        ({"id": "x" * 65}, "should match pattern"),
    ],
    ids=repr,
)
def test_a_mistake_is_explained(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(RulesetError) as caught:
        load(rule)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.path == "<mapping>"


@pytest.mark.parametrize(
    ("window", "step"),
    [
        ({"distinct": {"field": "metadata.user", "gte": 1}}, {"count": {"gte": 2}}),
        ({"count": {"gte": 1}}, {"distinct": {"field": "metadata.user", "gte": 2}}),
        (
            {"distinct": {"field": "metadata.user", "gte": 1}},
            {"distinct": {"field": "metadata.other", "gte": 2}},
        ),
    ],
)
def test_a_step_that_the_window_cannot_judge_is_refused(
    window: dict[str, Any], step: dict[str, Any]
) -> None:
    """Otherwise it would never be reached, or be reached for another field's values."""
    with pytest.raises(RulesetError):
        load(
            {
                "window": {**window, "within": "5m"},
                "escalate": [{"if": step, "severity": "high"}],
            }
        )


def test_messages_speak_of_what_stands_in_the_file() -> None:
    wrong: list[Any] = [
        [1],
        {"ruleset": "a", "rules": "b"},
        {"ruleset": "a", "rules": ["b"]},
        {"ruleset": "a", "rules": [{"id": "r", "require_consecutive": "maybe", "group_by": "x"}]},
    ]
    messages = []
    for data in wrong:
        with pytest.raises(RulesetError) as caught:
            load_mapping(data)
        messages += [problem.message for problem in caught.value.problems]
    ours = re.compile("RulesetPart|RulePart|ConsecutivePart|dictionary|tuple|instance")
    assert [message for message in messages if ours.search(message)] == []


# -- files ---------------------------------------------------------------------------------------


def test_the_files_of_a_folder_are_read_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.txt"):
        (tmp_path / name).write_text(GOOD.format(id=name[0]))
    rulesets = load_files([tmp_path])
    assert [ruleset.rules[0].id for ruleset in rulesets] == ["a", "b"]
    assert [ruleset.path for ruleset in rulesets] == [
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yml"),
    ]


def test_the_mistakes_of_all_files_come_together(tmp_path: Path) -> None:
    bad, broken, missing = (tmp_path / name for name in ("bad.yaml", "broken.yaml", "none.yaml"))
    bad.write_text(GOOD.format(id="A"))
    broken.write_text("rules: [")
    empty = tmp_path / "folder"
    empty.mkdir()
    with pytest.raises(RulesetError) as caught:
        load_files([missing, empty, broken, bad])
    assert [(p.path, p.line) for p in caught.value.problems] == [
        (str(bad), 3),
        (str(broken), 2),
        (str(empty), 0),
        (str(missing), 0),
    ]
    assert "No such file" in str(caught.value)
    assert "expected ruleset files (*.yaml), found none" in str(caught.value)


def test_an_id_that_stands_twice_names_the_other_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(GOOD.format(id="same"))
    second.write_text(GOOD.format(id="other") + GOOD.format(id="same").partition("rules:\n")[2])
    with pytest.raises(RulesetError) as caught:
        load_files([first, second])
    assert str(caught.value) == f"{second}:8:9: rule 'same' is already defined in {first}"


def test_an_id_that_stands_twice_in_one_file() -> None:
    text = GOOD.format(id="same") + GOOD.format(id="same").partition("rules:\n")[2]
    assert problems(text) == ["r.yaml:8:9: rule 'same' is already defined in r.yaml"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "r.yaml", "expected a ruleset, found nothing"),
        ("rules: [", "r.yaml:2:1", "not valid YAML"),
        ("ruleset: a\nrules: []", "r.yaml:2:8", "expected at least one rule"),
        ("ruleset: on\nrules: [{}]", "r.yaml:2:9", "missing field 'id'"),
        ("ruleset: 012\nrules: []", "r.yaml:1:10", "found 12"),
        ("ruleset: a\nruleset: b\nrules: []", "r.yaml:2:1", "duplicate key 'ruleset'"),
        ("ruleset: !!str a\nrules: [!x {}]", "r.yaml:2:9", "found '!x'"),
    ],
)
def test_files_that_are_no_rulesets(text: str, place: str, message: str) -> None:
    assert any(found.startswith(f"{place}: ") and message in found for found in problems(text))


# -- what comes out ------------------------------------------------------------------------------


def test_a_rule_as_the_engine_uses_it() -> None:
    (rule,) = load(
        {
            "window": {"count": {"gte": 3.0, "lt": 9}, "within": "1m30s"},
            "group_by": ["source", 'metadata."a.b".c'],
            "once_within": 60,
            "resolve_after": "2m",
            "recommend": ["restart"],
        }
    )
    assert rule.group_by == (("source",), ("metadata", "a.b", "c"))
    assert rule.aggregations == (Aggregation("count", CountLimit(gte=3.0, lt=9)),)
    assert (rule.within, rule.once_within, rule.resolve_after) == (
        90_000_000,
        60_000_000,
        120_000_000,
    )
    assert rule.threshold() == ("gte", 3.0)
    assert (rule.windowed, rule.ruleset, rule.recommend) == (True, "tests", ("restart",))


def test_changes_of_an_operator() -> None:
    rule, single = load({"window": {"count": {"gt": 3}, "within": "1m"}}, {})
    changed = rule.with_changes(threshold=5, within=10, require_consecutive=True)
    assert (changed.threshold(), changed.within, changed.consecutive) == (("gt", 5), 10, True)
    assert rule.threshold() == ("gt", 3)
    assert changed.content_hash() != rule.content_hash()
    for change in ({"threshold": 5}, {"within": 10}, {"require_consecutive": True}):
        with pytest.raises(ValueError, match="'r1' has no"):
            single.with_changes(**change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("ruleset", "rules", "id", "when", "any", "source", "eq", "in", "x")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    JSON, st.sampled_from(("when", "unless", "window", "escalate", "group_by", "tests", "title"))
)
@settings(deadline=None)
def test_nothing_but_problems_comes_of_any_data(data: Any, key: str) -> None:
    for mapping in (data, {"ruleset": "a", "rules": data}):
        with pytest.raises(RulesetError):
            load_mapping(mapping)
    try:
        (rule,) = load({key: data})
        assert rule.content_hash()
    except RulesetError as error:
        assert error.problems  # noqa: PT017 - some data is right


@pytest.mark.parametrize(
    "rule",
    [
        {"when": {"source": "\ud800"}},
        {"when": {"metadata.\ud800": 1}},
        {"when": {"source": {"matches": "\ud800"}}},
        {"when": {"source": {"in": ["\ud800"]}}},
        {"title": "\ud800"},
        {"group_by": ["metadata.\ud800"]},
    ],
    ids=ascii,
)
def test_text_that_is_no_unicode_is_refused_or_works(rule: dict[str, Any]) -> None:
    """It cannot stand in a file, but in data from Python."""
    with suppress(RulesetError):
        Engine(load(rule))
