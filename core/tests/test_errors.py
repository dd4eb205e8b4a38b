"""Errors say where and what."""

from __future__ import annotations

import pickle

import pytest

from tocsin import errors
from tocsin.errors import (
    ConfigError,
    EventError,
    PluginError,
    Problem,
    ProblemsError,
    Retryable,
    RulesetError,
    TocsinError,
    TransitionError,
    nearest,
)


def test_problems_come_in_order_of_place() -> None:
    problems = [
        Problem("b.yaml", 1, 1, "fourth"),
        Problem("a.yaml", 10, 1, "third"),
        Problem("a.yaml", 2, 1, "second"),
        Problem("a.yaml", 0, 0, "first"),
    ]
    error = RulesetError(problems)
    assert [problem.message for problem in error.problems] == ["first", "second", "third", "fourth"]
    assert str(error) == "a.yaml: first\na.yaml:2:1: second\na.yaml:10:1: third\nb.yaml:1:1: fourth"


def test_one_problem_without_a_place() -> None:
    error = ConfigError.of("no such thing")
    assert isinstance(error, ConfigError)
    assert str(error) == "<mapping>: no such thing"
    assert str(ConfigError.of("wrong", path="tocsin.yaml")) == "tocsin.yaml: wrong"


def test_every_error_of_ours_is_a_tocsin_error() -> None:
    ours = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(ours) > 5
    assert all(issubclass(error, TocsinError) for error in ours)
    assert issubclass(ConfigError, ProblemsError)
    assert not issubclass(ConfigError, RulesetError)


def test_a_transition_says_what_is_allowed() -> None:
    error = TransitionError(current="closed", wanted="assessing", allowed=["resolved"])
    assert str(error) == "an incident cannot go from closed to assessing; allowed: resolved"
    assert (error.current, error.wanted, error.allowed) == ("closed", "assessing", ("resolved",))
    assert str(TransitionError(current="a", wanted="b", allowed=[])).endswith("allowed: nothing")


def test_what_errors_carry() -> None:
    assert EventError("no", event_id="e1").event_id == "e1"
    assert (PluginError("no", plugin="a").plugin, PluginError("no", plugin="a").distribution) == (
        "a",
        "",
    )
    assert Retryable("later", after=2.5).after == 2.5
    assert Retryable("later").after is None


@pytest.mark.parametrize(
    ("found", "known", "end"),
    [
        ("sorce", ["source", "severity"], "; did you mean 'source'?"),
        ("zzz", ["source"], ""),
        ("", ["source"], ""),
        ("x", [], ""),
        ("", [], ""),
    ],
)
def test_the_nearest_word(found: str, known: list[str], end: str) -> None:
    assert nearest(found, iter(known)) == end


def test_a_problem_can_be_sent_to_another_process() -> None:
    problem = Problem("a.yaml", 1, 2, "wrong")
    assert pickle.loads(pickle.dumps(problem)) == problem  # noqa: S301 - our own
