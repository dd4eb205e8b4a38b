"""JSON lines: events as Tocsin writes them, or any objects with a mapping of their fields."""

from __future__ import annotations

from typing import Any, Self, cast

import orjson
from pydantic import Field, JsonValue, model_validator

from tocsin.capabilities import Params
from tocsin.models import IncidentEvent, IncidentSeverity
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import (
    LONGEST_NAME,
    Draft,
    Pattern,
    base_name,
    clean,
    severity_of,
)
from tocsin_logs.patterns.stamps import Format, instant_of


class Fields(Params):
    """Where an object keeps what an event needs: keys, or ways such as `log.level`."""

    timestamp: str = "timestamp"
    event_type: str = "event_type"
    source: str = "source"
    severity: str = "severity"
    message: str = "message"
    correlation_id: str = "correlation_id"
    event_id: str = "event_id"
    metadata: str = "metadata"
    """An object whose fields become metadata; so do all fields that nothing else uses."""


class ObjectLines(Params):
    """Describes lines that are JSON objects."""

    fields: Fields
    """Where the object keeps what an event needs."""
    event_type: str = Field(default="", max_length=LONGEST_NAME)
    """The type of events whose line gives none."""
    source: str = Field(default="", max_length=LONGEST_NAME)
    """The source of events whose line gives none; empty for the name of the file."""
    severity: IncidentSeverity = IncidentSeverity.LOW
    """The severity of events whose line gives none."""
    severities: dict[str, IncidentSeverity] = Field(default_factory=dict)
    """Severities for the levels of the log, in addition to the usual names."""
    timestamp_format: Format = "auto"
    """A format of strptime, or `auto` for ISO 8601 and numbers since 1970."""

    @model_validator(mode="after")
    def _has_a_type(self) -> Self:
        if not self.event_type and "event_type" not in self.fields.model_fields_set:
            raise ValueError("either event_type or fields.event_type is needed")
        return self


class JsonLinesPattern(Pattern):
    """Every line that is a JSON object with a timestamp and a type."""

    def __init__(self, calendar: Calendar, lines: ObjectLines | None = None) -> None:
        self._calendar = calendar
        self._lines = lines or ObjectLines(fields=Fields(event_type="event_type"))
        self._keys = frozenset(dict(self._lines.fields).values())

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        if not line.lstrip().startswith("{"):
            return None
        found: dict[str, Any] = orjson.loads(line)
        lines, fields = self._lines, self._lines.fields
        event_type = _text(_at(found, fields.event_type)) or lines.event_type
        if not event_type:
            return None
        own = _text(_at(found, fields.event_id))
        return Draft(
            at=instant_of(_at(found, fields.timestamp), lines.timestamp_format, self._calendar),
            event_type=event_type,
            source=_text(_at(found, fields.source)) or lines.source or base_name(origin),
            severity=self._severity(_at(found, fields.severity)),
            message=_text(_at(found, fields.message)),
            metadata=self._metadata(found),
            correlation_id=_text(_at(found, fields.correlation_id))[:LONGEST_NAME] or None,
            event_id=own if len(own) <= LONGEST_NAME else "",
        )

    def _severity(self, value: JsonValue) -> IncidentSeverity:
        own = self._lines.severities.get(_text(value))
        return own or severity_of(value, self._lines.severity)

    def _metadata(self, found: dict[str, Any]) -> dict[str, JsonValue]:
        inner = _at(found, self._lines.fields.metadata)
        rest = {key: value for key, value in found.items() if key not in self._keys}
        return {**rest, **inner} if isinstance(inner, dict) else rest

    def build(self, draft: Draft, identity: str, metadata: dict[str, JsonValue]) -> IncidentEvent:
        """Make the event of a draft whose values come from outside."""
        event = super().build(draft, identity, metadata)
        return IncidentEvent.model_validate(dict(event))


def _at(found: dict[str, Any], way: str) -> JsonValue:
    """Find a value by its key, or else by a way of keys with dots between."""
    inner: Any = found
    for key in (way,) if way in found else way.split("."):
        if not isinstance(inner, dict) or key not in inner:
            return None
        inner = inner[key]
    return cast("JsonValue", inner)


def _text(value: JsonValue) -> str:
    if isinstance(value, str):
        return clean(value.replace("\n", " "))
    return "" if value is None or isinstance(value, dict | list) else str(value)
