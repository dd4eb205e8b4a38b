"""Titles: names are replaced by values, and a value is never taken for anything else."""

from __future__ import annotations

from typing import Any

import pytest

from rules.streams import event, load, play
from tocsin.models import Detection


def title(written: str, source: str = "api", **spec: Any) -> str:
    rules = load({"title": written, **spec})
    (signal,) = play(rules, [event("e", source=source, metadata={"x": spec.pop("x", 5)})])
    assert isinstance(signal, Detection)
    return signal.title


def test_names_become_values() -> None:
    written = "{rule}: {count} from {source} at {metadata.x} within {within}, {severity}"
    window = {"count": {"gte": 1}, "within": "90s"}
    found = title(written, group_by=["source", "metadata.x"], window=window, severity="high")
    assert found == "r0: 1 from api at 5 within 1m30s, high"


def test_the_severity_is_the_one_that_was_reached() -> None:
    step = {"if": {"when": {"event_type": "fail"}}, "severity": "critical"}
    assert title("{severity}", escalate=[step]) == "critical"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("{count}", "{count}"),
        ("{rule.__class__}", "{rule.__class__}"),
        ("%s %(x)d", "%s %(x)d"),
        ("a\nb\t\x1b[31m\u202e", "a\ufffdb\ufffd\ufffd[31m\ufffd"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
        ("日本", "日本"),
    ],
)
def test_values_are_text_of_one_line(value: str, shown: str) -> None:
    assert title("{source}", source=value, group_by=["source"]) == shown


def test_a_missing_value_is_shown_as_such() -> None:
    assert title("{metadata.y}", group_by=["metadata.y"]) == "(none)"


def test_a_group_shows_the_name_of_a_severity() -> None:
    rules = load({"group_by": ["severity"]})
    (signal,) = play(rules, [event("e", severity="high")])
    assert isinstance(signal, Detection)
    assert signal.group == {"severity": "high"}
