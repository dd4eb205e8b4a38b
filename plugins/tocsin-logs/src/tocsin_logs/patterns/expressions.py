"""Lines described in settings by a regular expression with named groups."""

from __future__ import annotations

import math
import re
from typing import Self

import re2
from pydantic import Field, JsonValue, model_validator

from tocsin.capabilities import Params
from tocsin.errors import nearest
from tocsin.models import IncidentSeverity
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import LONGEST_NAME, Draft, Pattern, base_name, severity_of
from tocsin_logs.patterns.stamps import AUTO, Format, instant_of

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,3})?")
_SPECIAL = frozenset({"event_type", "source", "severity", "message", "correlation_id"})


class Timestamp(Params):
    """Which group holds the instant, and how it is written."""

    group: str = "timestamp"
    """The group that holds it."""
    format: Format = AUTO
    """A format of strptime, or `auto` for ISO 8601 and numbers since 1970."""


class Expression(Params):
    """Describes lines by a regular expression."""

    regex: str = Field(min_length=1, max_length=8192)
    """An expression of RE2, found anywhere in the line; its named groups become metadata.

    The groups `timestamp`, `event_type`, `source`, `severity`, `message` and `correlation_id` fill
    those fields of the event instead.
    """
    event_type: str = Field(default="", max_length=LONGEST_NAME)
    """The type of events whose line gives none."""
    source: str = Field(default="", max_length=LONGEST_NAME)
    """The source of events whose line gives none; empty for the name of the file."""
    severity: IncidentSeverity = IncidentSeverity.LOW
    """The severity of events whose line gives none."""
    severities: dict[str, IncidentSeverity] = Field(default_factory=dict)
    """Severities for the words in the group `severity`, in addition to the usual names."""
    timestamp: Timestamp | None = None
    """How the instant is written; without it and without a group `timestamp`, the present."""
    numeric: tuple[str, ...] = ()
    """Groups that are numbers; one that does not read as a number is left out."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        groups = tuple(groups_of(compiled(self.regex)))
        if not self.event_type and "event_type" not in groups:
            raise ValueError("either event_type or a group (?P<event_type>...) is needed")
        wanted = [*self.numeric, *([self.timestamp.group] if self.timestamp else [])]
        for name in wanted:
            if name not in groups:
                known = ", ".join(groups) or "none"
                raise ValueError(
                    f"the regex has no group {name!r}; its groups: {known}{nearest(name, groups)}"
                )
        return self


def compiled(regex: str) -> re2._Regexp:
    """Compile an expression.

    Raises:
        ValueError: it is not one of RE2, with the reason.
    """
    options = re2.Options()
    # Otherwise the library writes to the standard error of the process.
    options.log_errors = False
    try:
        # As bytes: matching text, the library would compute where each group is in characters.
        return re2.compile(regex.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        hint = "" if "(?" not in reason else " (RE2 has no look-around)"
        raise ValueError(f"bad regex: {reason}{hint}") from None


def groups_of(regex: re2._Regexp) -> dict[str, int]:
    """Give the named groups and their numbers."""
    return {name.decode(): number for name, number in regex.groupindex.items()}


class ExpressionPattern(Pattern):
    """Every line in which the expression is found."""

    def __init__(self, calendar: Calendar, lines: Expression) -> None:
        self._calendar = calendar
        self._lines = lines
        self._regex = compiled(lines.regex)
        self._groups = tuple(groups_of(self._regex).items())
        self._stamp = lines.timestamp or Timestamp()

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        found = self._regex.search(line.encode())
        if found is None:
            return None
        values = found.groups()
        texts = {
            name: value.decode("utf-8", "replace")
            for name, number in self._groups
            if (value := values[number - 1]) is not None
        }
        lines = self._lines
        event_type = texts.get("event_type") or lines.event_type
        if not event_type:
            return None
        stamp = texts.pop(self._stamp.group, None)
        return Draft(
            at=(
                instant_of(stamp, self._stamp.format, self._calendar)
                if stamp is not None
                else self._calendar.present()
            ),
            event_type=event_type,
            source=texts.get("source") or lines.source or base_name(origin),
            severity=self._severity(texts.get("severity")),
            message=texts.get("message", line),
            metadata=self._metadata(texts),
            correlation_id=texts.get("correlation_id", "")[:LONGEST_NAME] or None,
        )

    def _severity(self, word: str | None) -> IncidentSeverity:
        if word is None:
            return self._lines.severity
        return self._lines.severities.get(word) or severity_of(word, self._lines.severity)

    def _metadata(self, texts: dict[str, str]) -> dict[str, JsonValue]:
        metadata: dict[str, JsonValue] = {}
        for name, text in texts.items():
            if name in _SPECIAL:
                continue
            value = _number(text) if name in self._lines.numeric else text
            if value is not None:
                metadata[name] = value
        return metadata


def _number(text: str) -> float | int | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _REAL.fullmatch(text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
