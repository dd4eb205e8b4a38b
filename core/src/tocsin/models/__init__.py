"""The words of the domain as data: events, detections, incidents."""

from tocsin.models.detections import Cleared, Detection, Escalation, Quarantined, Signal
from tocsin.models.events import IncidentEvent, component_of
from tocsin.models.incidents import (
    ActionTaken,
    Incident,
    IncidentStatus,
    TimelineEntry,
)
from tocsin.models.kinds import IncidentSeverity, IncidentType
from tocsin.models.notices import Notice
from tocsin.models.wire import Event

__all__ = [
    "ActionTaken",
    "Cleared",
    "Detection",
    "Escalation",
    "Event",
    "Incident",
    "IncidentEvent",
    "IncidentSeverity",
    "IncidentStatus",
    "IncidentType",
    "Notice",
    "Quarantined",
    "Signal",
    "TimelineEntry",
    "component_of",
]
