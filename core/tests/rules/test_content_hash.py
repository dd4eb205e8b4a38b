"""The hash of a rule's content: different for different rules, and the same everywhere."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from rules.streams import Spec, load, specs

WINDOW = {"count": {"gte": 5}, "within": "5m"}
X, Y = {"metadata.x": 1}, {"metadata.y": 2}
DIFFERENT: list[dict[str, Any]] = [
    {},
    {"id": "other"},
    {"severity": "high"},
    {"incident_type": "deadlock"},
    {"when": {"all": [X, Y]}},
    {"when": {"any": [X, Y]}},
    {"when": {"any": [Y, X]}},
    {"when": {"not": X}},
    {"when": X, "unless": Y},
    {"when": Y, "unless": X},
    {"when": X},
    {"when": {"metadata.x": 1.0}},
    {"when": {"metadata.x": True}},
    {"when": {"metadata.x": "1"}},
    {"when": {"metadata.x": "true"}},
    {"when": {"metadata.x": [1]}},
    {"when": {"metadata.x": [1.0]}},
    {"when": {"metadata.x": [True]}},
    {"when": {"metadata.x": [1, 2]}},
    {"when": {"metadata.x": ["1", "2"]}},
    {"when": {"metadata.x": {"not_in": [1, 2]}}},
    {"when": {"metadata.x": {"between": [1, 2]}}},
    {"when": {"metadata.x": {"gt": 1}}},
    {"when": {"metadata.x": {"gte": 1}}},
    {"when": {"metadata.x": {"gt": 2**53}}},
    {"when": {"metadata.x": {"gt": 2**53 + 1}}},
    {"when": {"metadata.x": {"gt": 10**39}}},
    {"when": {"metadata.x": {"eq": {"field": "metadata.y"}}}},
    {"when": {"metadata.x": {"exists": True}}},
    {"when": {"metadata.x": {"exists": False}}},
    {"when": {"metadata.x.y": 1}},
    {"when": {'metadata."x.y"': 1}},
    {"window": WINDOW},
    {"window": {**WINDOW, "within": "6m"}},
    {"window": {**WINDOW, "count": {"gt": 5}}},
    {"window": {**WINDOW, "count": {"gte": 5, "lt": 9}}},
    {"window": {**WINDOW, "count": {"gte": 6}}},
    {"window": {"distinct": {"field": "metadata.x", "gte": 5}, "within": "5m"}},
    {"window": {"distinct": {"field": "metadata.y", "gte": 5}, "within": "5m"}},
    {"window": WINDOW, "require_consecutive": True},
    {"window": WINDOW, "require_consecutive": {"among": X}},
    {"window": WINDOW, "min_components": 1},
    {"window": WINDOW, "min_components": 2},
    {"window": WINDOW, "once_within": 0},
    {"window": WINDOW, "once_within": "5m"},
    {"window": WINDOW, "resolve_after": "5m"},
    {"window": WINDOW, "escalate": [{"if": {"count": {"gte": 9}}, "severity": "high"}]},
    {"window": WINDOW, "escalate": [{"if": {"count": {"gt": 9}}, "severity": "high"}]},
    {"window": WINDOW, "escalate": [{"if": {"lasting": "9s"}, "severity": "high"}]},
    {"window": WINDOW, "escalate": [{"if": {"lasting": "9s"}, "severity": "critical"}]},
    {"group_by": ["source", "metadata.x"]},
    {"group_by": ["metadata.x", "source"]},
    {"group_by": ["metadata.x.source"]},
]


def hash_of(spec: Spec) -> str:
    return load(spec)[0].content_hash()


def test_no_two_rules_are_alike() -> None:
    hashes = [hash_of(spec) for spec in DIFFERENT]
    alike = [
        (DIFFERENT[i], DIFFERENT[j])
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if hashes[i] == hashes[j]
    ]
    assert alike == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"enabled": False}),
        ({}, {"tests": [{"name": "a", "events": [{"at": 0}], "expect": []}]}),
        ({"window": WINDOW}, {"window": {**WINDOW, "within": 300}}),
        ({"window": WINDOW}, {"window": dict(reversed(WINDOW.items()))}),
        ({"when": {"metadata.x": 1}}, {"when": {"metadata.x": {"eq": 1}}}),
        ({"when": {"metadata.x": [1]}}, {"when": {"metadata.x": {"in": [1]}}}),
    ],
)
def test_what_finds_the_same_is_the_same(one: Spec, other: Spec) -> None:
    assert hash_of(one) == hash_of(other)


@given(specs())
@settings(max_examples=25, deadline=None)
def test_it_does_not_depend_on_when_it_is_computed(spec: Spec) -> None:
    (rule,), (again,) = load(spec), load(spec)
    assert rule.content_hash() == again.content_hash()
    assert len(rule.content_hash()) == 16


def test_it_is_the_same_in_every_process() -> None:
    program = (
        "from tocsin.rules.loader import load_mapping\n"
        "rules = [{'id': 'r0', 'title': 'trouble', 'incident_type': 'error_burst',\n"
        "          'severity': 'low', 'when': {'event_type': 'fail', 'metadata.x': [1, 'a']},\n"
        "          'window': {'count': {'gte': 5}, 'within': '5m'}}]\n"
        "print(load_mapping({'ruleset': 'tests', 'rules': rules}).rules[0].content_hash())\n"
    )
    expected = hash_of({"when": {"event_type": "fail", "metadata.x": [1, "a"]}, "window": WINDOW})
    for seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == expected
