"""Tests inside rulesets: they pass when all comes as expected, and say what did not."""

from __future__ import annotations

from typing import Any

import pytest

from rules.streams import load
from tocsin.rules.cases import CaseResult, run_cases

BURST = {
    "window": {"count": {"gte": 3}, "within": "1m"},
    "group_by": ["source"],
    "resolve_after": "5m",
    "escalate": [{"if": {"count": {"gte": 5}}, "severity": "high"}],
}
FAILURES = {"repeat": 5, "every": "10s", "event_type": "fail", "source": "api"}


def run(expect: list[dict[str, Any]], *, spec: Any = None, **case: Any) -> CaseResult:
    case = {"name": "a case", "events": [FAILURES], "expect": expect, **case}
    (result,) = run_cases(load({**(BURST if spec is None else spec), "tests": [case]}))
    return result


def test_what_is_expected_comes() -> None:
    result = run([{"at": "20s", "group": {"source": "api"}, "severity": "low"}])
    assert result == CaseResult("r0", "a case", ())
    assert result.passed


def test_further_kinds_count_where_one_is_expected() -> None:
    detection = {"at": "20s"}
    escalation = {"kind": "escalation", "at": "40s", "severity": "high"}
    cleared = {"kind": "cleared", "at": "340s"}
    assert run([detection, escalation]).passed
    assert run([detection, cleared, escalation], until="10m").passed
    assert not run([detection, cleared]).passed
    early = {"kind": "escalation", "at": "30s"}
    assert run([detection, early]).problems == (
        "expected a escalation at 30s, which did not come",
        "did not expect a escalation at 40s of severity high for source='api'",
    )


@pytest.mark.parametrize(
    "expected",
    [
        {"at": "21s"},
        {"at": "20s", "severity": "high"},
        {"at": "20s", "group": {"source": "db"}},
        {"at": "20s", "kind": "cleared"},
    ],
)
def test_what_does_not_fit_is_told_twice(expected: dict[str, Any]) -> None:
    missing, unexpected = run([expected]).problems
    assert missing.startswith("expected a ")
    assert missing.endswith("which did not come")
    assert unexpected == "did not expect a detection at 20s of severity low for source='api'"


def test_one_expectation_is_not_met_twice() -> None:
    assert len(run([{"at": "20s"}, {"at": "20s"}]).problems) == 1


def test_nothing_expected_and_nothing_found() -> None:
    assert run([], events=[{**FAILURES, "repeat": 2}]).passed
    assert not run([]).passed


def test_events_are_numbered_and_follow_one_another() -> None:
    events = [
        {"repeat": 2, "every": "5s", "event_type": "fail", "source": "api-{n}"},
        {"event_type": "fail", "source": "after"},
        {"at": "1m", "event_type": "fail", "source": "later", "metadata": {"x": ["{n}"]}},
    ]
    result = run(
        [
            {"at": 0, "group": {"source": "api-1"}},
            {"at": "5s", "group": {"source": "api-2"}},
            {"at": "5s", "group": {"source": "after"}},
            {"at": "1m", "group": {"source": "later"}},
        ],
        spec={"group_by": ["source"]},
        events=events,
    )
    assert result.problems == ()


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"timestamp": "2026-01-01T00:00:00Z"}, "use 'at' for the time, not 'timestamp'"),
        ({"sorce": "x"}, "sorce: Extra inputs are not permitted"),
        ({"severity": "bad"}, "severity: Input should be"),
        ({"source": ""}, "source: String should have at least 1 character"),
    ],
)
def test_an_event_that_is_none_fails_the_test(part: dict[str, Any], problem: str) -> None:
    (found,) = run([], events=[part]).problems
    assert problem in found


def test_a_disabled_rule_is_tested_all_the_same() -> None:
    assert run([{"at": "20s"}], spec={**BURST, "enabled": False}).passed
