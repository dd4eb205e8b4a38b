"""The one input of Tocsin: an event."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tocsin.models.kinds import IncidentSeverity, Instant

_LARGEST = 2**63 - 1
"""The largest whole number that every JSON reader in the field keeps exactly."""


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
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Everything else, as JSON."""
    correlation_id: str | None = Field(default=None, max_length=256)
    """Ties together events of one request, job or deployment."""


def component_of(event: IncidentEvent) -> str:
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
