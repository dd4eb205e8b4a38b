"""Fills the title of a rule: names are replaced by values, nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tocsin.durations import format_duration
from tocsin.models import IncidentSeverity
from tocsin.rules.schema import Rule

_NAME = re.compile(r"\{([^{}]*)\}")
_MAX_VALUE = 80


def fill_title(
    rule: Rule, group: Mapping[str, Any], values: Mapping[str, float], severity: IncidentSeverity
) -> str:
    """Fill `{count}`, `{within}`, `{source}` and the like; values are cut and kept to one line."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "within":
            return format_duration(rule.within)
        if name == "rule":
            return rule.id
        if name == "severity":
            return severity.value
        found = values.get(name, group.get(name))
        return _one_line(found)

    return _NAME.sub(value, rule.title)


def _one_line(value: Any) -> str:
    if value is None:
        return "(none)"
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value)
    )
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
