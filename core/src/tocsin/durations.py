"""Spans of time as people write them: `500ms`, `60s`, `1h30m`, `7d`, or a number of seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from tocsin.clock import MICROSECOND, SECOND

_MICROS = {
    "us": 1,
    "ms": 1_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 604_800 * SECOND,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST_TEXT = 64
LONGEST = 3650 * _MICROS["d"]
"""Ten years, in microseconds: a longer span is a mistake."""


def parse_duration(text: Any) -> int:
    """Turn a span as people write it into whole microseconds.

    Raises:
        ValueError: it is not a span, is negative, or is over ten years.
    """
    micros = _micros(text)
    if micros is None:
        raise ValueError(f"expected a duration such as '30s', '5m' or '1h30m', found {text!r}")
    if not 0 <= micros <= LONGEST:
        raise ValueError(f"expected a duration from 0s to 3650d, found {text!r}")
    return micros


def _micros(text: Any) -> int | None:
    if isinstance(text, timedelta):
        return text // MICROSECOND
    if isinstance(text, bool):
        return None
    if isinstance(text, int):
        return text * SECOND
    if isinstance(text, float):
        return round(text * SECOND) if abs(text) <= LONGEST else LONGEST + 1
    if isinstance(text, str) and len(text) <= _LONGEST_TEXT and _WHOLE.fullmatch(text.strip()):
        return sum(round(float(n) * _MICROS[unit]) for n, unit in _PART.findall(text))
    return None


def format_duration(micros: int) -> str:
    """Write a span in the largest units that keep it exact, such as `1h30m`."""
    if micros == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, micros = divmod(micros, _MICROS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": f"^{_WHOLE.pattern}$"},
            {"type": "number", "minimum": 0},
        ]
    }
)

Duration = Annotated[
    int, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str), _SCHEMA
]
"""A span in whole microseconds, written as `5m` or a number of seconds."""

Seconds = Annotated[
    float,
    BeforeValidator(lambda text: parse_duration(text) / SECOND),
    PlainSerializer(lambda seconds: format_duration(round(seconds * SECOND)), return_type=str),
    _SCHEMA,
]
"""A span in seconds, written as `5m` or a number of seconds."""
