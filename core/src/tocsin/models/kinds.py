"""Severities and types: the closed lists that rules, incidents and the CLI share."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from tocsin.clock import isoformat

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
"""Outside of these an instant may not exist in UTC."""


def _in_whole_minutes(instant: datetime) -> datetime:
    """Tell an instant in UTC where its zone is ahead by broken minutes: JSON cannot say so."""
    offset = instant.utcoffset()
    odd = offset is not None and (offset.seconds % 60 or offset.microseconds)
    return instant.astimezone(UTC) if odd else instant


Instant = Annotated[
    AwareDatetime,
    Field(ge=EARLIEST, le=LATEST),
    AfterValidator(_in_whole_minutes),
    PlainSerializer(isoformat, return_type=str, when_used="json"),
]
"""A timezone-aware instant, written in UTC: a naive one is refused."""


class IncidentSeverity(StrEnum):
    """How bad it is. Ordered: `LOW < MEDIUM < HIGH < CRITICAL`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """1 for low up to 4 for critical."""
        return _RANKS[self]

    def __lt__(self, other: str) -> bool:
        return self.rank < IncidentSeverity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= IncidentSeverity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > IncidentSeverity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= IncidentSeverity(other).rank


_RANKS = {severity: rank for rank, severity in enumerate(IncidentSeverity, start=1)}


class IncidentType(StrEnum):
    """The built-in types. A ruleset may use further ones: any lower-case name."""

    ERROR_BURST = "error_burst"
    SERVICE_DOWN = "service_down"
    QUALITY_DROP = "quality_drop"
    WORKFLOW_FAILURE_SPIKE = "workflow_failure_spike"
    MEMORY_EXHAUSTION = "memory_exhaustion"
    PERFORMANCE_DEGRADATION = "performance_degradation"
    DISK_SPACE_LOW = "disk_space_low"
    DATABASE_CONNECTION_FAILURE = "database_connection_failure"
    API_RATE_LIMIT = "api_rate_limit"
    CACHE_FAILURE = "cache_failure"
    NETWORK_PARTITION = "network_partition"
    DEADLOCK = "deadlock"
    RESOURCE_LEAK = "resource_leak"
    SECURITY_BREACH = "security_breach"
    DATA_CORRUPTION = "data_corruption"
    CERTIFICATE_EXPIRY = "certificate_expiry"
