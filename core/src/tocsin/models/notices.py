"""What people are told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tocsin.models.incidents import IncidentStatus
from tocsin.models.kinds import IncidentSeverity, Instant


class Notice(BaseModel):
    """One message about one change of one incident."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notice_id: str
    """The same for the same change: a notifier may use it to send once."""
    incident_id: str
    change: str
    """What happened: `opened`, `joined`, `escalated`, `cleared`, or the name of a status."""
    at: Instant
    severity: IncidentSeverity
    status: IncidentStatus
    incident_type: str
    title: str
    text: str
    components: tuple[str, ...] = ()
