"""The one input of Tocsin: an event."""

from __future__ import annotations

import math
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from tocsin.models.kinds import IncidentSeverity, Instant

_DEEPEST = 150
_LARGEST = 2**63 - 1
"""The largest whole number that every JSON reader in the field keeps exactly."""


class _OnlyJson:
    """Checks what comes from Python; what was read from JSON needs no second look."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        plain = handler(source)
        checked = core_schema.no_info_after_validator_function(_check_json, plain)
        return core_schema.json_or_python_schema(plain, checked)


def _check_json(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} deep")
    kind = value.__class__
    if kind is dict:
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"keys must be text, found {key!r:.60}")
            _check_json(item, depth + 1)
    elif kind is list:
        for item in value:
            _check_json(item, depth + 1)
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError(f"expected a JSON value, found {value!r:.60} ({kind.__name__})")
    return value


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
    return component if isinstance(component, str) and component else event.source


def storable(event: IncidentEvent) -> IncidentEvent:
    """Give the event as JSON can hold it.

    Lone surrogates become U+FFFD and whole numbers over 64 bits become floats, so that what is
    evaluated now is what would be read back after a crash.
    """
    return IncidentEvent.model_validate(_plain(dict(event)))


def _plain(value: Any) -> Any:
    if isinstance(value, IncidentSeverity):
        return value
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return _as_float(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _as_float(value: int) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
