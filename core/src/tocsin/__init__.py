"""Tocsin: event streams in, incidents out."""

from __future__ import annotations

from tocsin.hookspecs import hookimpl
from tocsin.models import (
    Detection,
    Incident,
    IncidentEvent,
    IncidentSeverity,
    IncidentStatus,
    IncidentType,
)

__version__ = "0.1.0"

__all__ = [
    "Detection",
    "Incident",
    "IncidentEvent",
    "IncidentSeverity",
    "IncidentStatus",
    "IncidentType",
    "hookimpl",
]
