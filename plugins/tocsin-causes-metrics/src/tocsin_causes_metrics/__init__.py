"""Ranks components by how likely each is the root cause of an alarm, from metrics and calls."""

from tocsin_causes_metrics.model import (
    Alarm,
    Candidate,
    Evidence,
    Graph,
    Metrics,
    Params,
    SeriesKey,
)
from tocsin_causes_metrics.ranking import rank

__all__ = [
    "Alarm",
    "Candidate",
    "Evidence",
    "Graph",
    "Metrics",
    "Params",
    "SeriesKey",
    "rank",
]
