"""Spans of time as people write them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tocsin.durations import LONGEST, Duration, Seconds, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0s", 0),
        ("1us", 1),
        ("500ms", 500_000),
        ("60s", 60_000_000),
        ("5m", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("7d", 604_800_000_000),
        ("2w", 1_209_600_000_000),
        ("1d1s", 86_401_000_000),
        ("0.5s", 500_000),
        ("1.5h", 5_400_000_000),
        ("0.000001s", 1),
        (" 5m ", 300_000_000),
        (5, 5_000_000),
        (0, 0),
        (0.25, 250_000),
        (timedelta(minutes=5), 300_000_000),
        ("3650d", LONGEST),
    ],
)
def test_spans(text: Any, micros: int) -> None:
    assert parse_duration(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "5", "m", "5 m", "5x", "5M", "-5s", "+5s", "5m-", "1e3s", ".5s", "5.s", "5m 3s"),
        *("five minutes", "1h:30", "5m\n5", None, True, False, [], {}, b"5m", math.nan),
    ],
    ids=repr,
)
def test_what_is_not_a_span(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["3651d", "9" * 60 + "w", -1, -0.5, 1e300, math.inf, -math.inf, timedelta(-1), 10**4000],
    ids=lambda text: repr(text)[:20],
)
def test_spans_that_are_too_long_or_negative(text: Any) -> None:
    with pytest.raises(ValueError, match="from 0s to 3650d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0s"),
        (1, "1us"),
        (1_500_000, "1s500ms"),
        (5_400_000_000, "1h30m"),
        (604_800_000_000, "7d"),
        (60_000_001, "1m1us"),
    ],
)
def test_a_span_is_written_in_large_units(micros: int, text: str) -> None:
    assert format_duration(micros) == text


@given(st.integers(0, LONGEST))
@settings(deadline=None)
def test_what_is_written_reads_the_same(micros: int) -> None:
    assert parse_duration(format_duration(micros)) == micros


@given(st.text(st.sampled_from("0123456789.smhdwu "), max_size=12))
@settings(deadline=None)
def test_any_text_is_a_span_or_a_clear_mistake(text: str) -> None:
    try:
        micros = parse_duration(text)
    except ValueError as error:
        assert "expected a duration" in str(error)  # noqa: PT017 - some text is right
    else:
        assert 0 <= micros <= LONGEST


class Settings(BaseModel):
    within: Duration
    timeout: Seconds = 2.5


def test_in_a_model() -> None:
    settings = Settings.model_validate({"within": "5m", "timeout": "1500ms"})
    assert (settings.within, settings.timeout) == (300_000_000, 1.5)
    assert settings.model_dump() == {"within": "5m", "timeout": "1s500ms"}
    assert Settings.model_validate(settings.model_dump()) == settings
    with pytest.raises(ValidationError, match="expected a duration such as '30s'"):
        Settings.model_validate({"within": "soon"})


def test_the_schema_is_for_what_is_written() -> None:
    (text, number) = Settings.model_json_schema()["properties"]["within"]["anyOf"]
    assert re.search(text["pattern"], "1h30m")
    assert not re.search(text["pattern"], "1h 30m")
    assert number == {"type": "number", "minimum": 0}
