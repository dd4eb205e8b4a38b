"""Paths into an event: which field a rule looks at."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from tocsin.errors import nearest
from tocsin.models import Event

FIELDS = ("event_id", "event_type", "source", "severity", "message", "correlation_id", "metadata")
"""The fields of an event that rules can look at; below `metadata` anything goes."""
_PART = re.compile(r'"((?:[^"\\]|\\.)+)"|([^."]+)')
_MAX_PARTS = 16

Path = tuple[str, ...]
"""The parts of a field's name: `metadata.http.status` has three."""


def parse_path(text: str) -> Path:
    """Split a field's name into its parts; a part with dots in it stands in double quotes.

    Raises:
        ValueError: it does not name a field of an event.
    """
    parts: list[str] = []
    at = 0
    while at <= len(text):
        match = _PART.match(text, at)
        if match is None:
            raise ValueError(f"expected a field such as 'metadata.status', found {text!r}")
        quoted, plain = match.groups()
        parts.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
        if at < len(text) and text[at] != ".":
            raise ValueError(f"expected a dot after {text[:at]!r}, found {text[at]!r}")
        at += 1
        if at > len(text):
            break
    if parts[0] not in FIELDS:
        known = ", ".join(FIELDS[:-1])
        hint = nearest(parts[0], FIELDS) or f"; fields: {known} and metadata.NAME"
        raise ValueError(f"unknown field {parts[0]!r}{hint}")
    if parts[0] != "metadata" and len(parts) > 1:
        raise ValueError(f"field {parts[0]!r} has no parts, found {text!r}")
    if parts == ["metadata"]:
        raise ValueError("expected a name below metadata, such as 'metadata.status'")
    if len(parts) > _MAX_PARTS:
        raise ValueError(f"expected at most {_MAX_PARTS} parts, found {len(parts)}")
    return tuple(parts)


def format_path(path: Path) -> str:
    """Write a path as it is written in a ruleset."""
    return ".".join(
        part if _PART.fullmatch(part) and "." not in part else _quoted(part) for part in path
    )


def _quoted(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def getter(path: Path) -> Callable[[Event], Any]:
    """Make the function that reads a field: its value, or None where it is missing.

    A number that JSON cannot hold (NaN, infinity) reads as missing; a severity reads as its rank.
    """
    name = path[0]
    if name == "severity":
        return lambda event: event.severity.rank
    if name != "metadata":
        return lambda event: getattr(event, name)
    first, *rest = path[1:]
    if not rest:

        def shallow(event: Event) -> Any:
            value = event.metadata.get(first)
            return None if value.__class__ is float and not math.isfinite(value) else value

        return shallow

    def deep(event: Event) -> Any:
        value: Any = event.metadata.get(first)
        for part in rest:
            if not isinstance(value, dict):
                return None
            value = value.get(part)
        return None if value.__class__ is float and not math.isfinite(value) else value

    return deep


def grouping(path: Path) -> Callable[[Event], Any]:
    """Make the function that reads a field as groups show it: a severity is its name."""
    return getter(path) if path != ("severity",) else lambda event: event.severity.value
