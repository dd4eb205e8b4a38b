"""Tocsin: event streams in, incidents out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.errors import TocsinError
    from tocsin.hookspecs import hookimpl
    from tocsin.manager import IncidentManager
    from tocsin.models import (
        Detection,
        Incident,
        IncidentEvent,
        IncidentSeverity,
        IncidentStatus,
        IncidentType,
    )
    from tocsin.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Detection",
    "Incident",
    "IncidentEvent",
    "IncidentManager",
    "IncidentSeverity",
    "IncidentStatus",
    "IncidentType",
    "Settings",
    "TocsinError",
    "hookimpl",
]

_HOME = {
    "IncidentManager": "tocsin.manager",
    "Settings": "tocsin.settings",
    "TocsinError": "tocsin.errors",
    "hookimpl": "tocsin.hookspecs",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that the worker and `--help` do not load the whole program."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME.get(name, "tocsin.models")), name)
    globals()[name] = value
    return value
