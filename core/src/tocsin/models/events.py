"""The one input of Tocsin: an event."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from tocsin.models.kinds import IncidentSeverity, Instant

DEEPEST = 150
"""Levels of lists and mappings below `metadata`: more cannot be written by every JSON library."""
_LONGEST_NAME = 256
_SURROGATES = re.compile("[\ud800-\udfff]")
_LARGEST = 2**63 - 1
"""The largest whole number that every JSON reader in the field keeps exactly."""


class _OnlyJson:
    """Copies what comes from Python as JSON; what was read from JSON is JSON."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        plain = handler(source)
        checked = core_schema.no_info_after_validator_function(_plain_json, plain)
        return core_schema.json_or_python_schema(plain, checked)


def _plain_json(value: Any, depth: int = 0) -> Any:
    """Copy a value as plain JSON types: rules tell values apart by their class."""
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # What is no number reads as missing, as it would when it is read back.
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_plain_key(key): _plain_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_json(item, depth + 1) for item in value]
    raise ValueError(f"expected a JSON value, found {value!r:.60} ({type(value).__name__})")


def _plain_key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"keys must be text, found {key!r:.60}")
    return str.__str__(key)


class IncidentEvent(BaseModel):
    """Something that happened at one instant, as its source told it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: str = Field(min_length=1, max_length=256)
    """Unique for this occurrence: the same id submitted again is accepted once."""
    timestamp: Instant
    """When it happened, timezone-aware."""
    event_type: str = Field(min_length=1, max_length=256)
    """What kind of thing happened, such as `error` or `service_down`."""
    source: str = Field(min_length=1, max_length=256)
    """What reported it: a service, a host, a log."""
    severity: IncidentSeverity = IncidentSeverity.LOW
    message: str = ""
    """One line for people."""
    metadata: Annotated[dict[str, Any], _OnlyJson()] = Field(default_factory=dict)
    """Everything else, as JSON."""
    correlation_id: str | None = Field(default=None, max_length=256)
    """Ties together events of one request, job or deployment."""


class _Located(Protocol):
    @property
    def source(self) -> str: ...

    @property
    def metadata(self) -> dict[str, Any]: ...


def component_of(event: _Located) -> str:
    """Name the component that an event is about: `metadata.component`, otherwise its source."""
    component = event.metadata.get("component")
    if not isinstance(component, str) or not component:
        return event.source
    return component[:_LONGEST_NAME]


def storable(event: IncidentEvent) -> IncidentEvent:
    """Give the event as JSON can hold it.

    Lone surrogates become U+FFFD, whole numbers over 64 bits become floats, and what is no number
    or infinite becomes missing, so that what is evaluated now is what is read back after a crash.
    """
    return event.model_copy(
        update={
            name: _storable(getattr(event, name))
            for name in (
                "event_id",
                "event_type",
                "source",
                "message",
                "metadata",
                "correlation_id",
            )
        }
    )


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return _storable(_as_float(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
