"""What all patterns share: ids, clean text, severities, and refusing instead of failing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from tocsin.models import IncidentEvent, IncidentSeverity

LONGEST_LINE = 1 << 20
"""Characters. A longer line is not looked at."""
LONGEST_NAME = 256
"""Characters of an event's id, type and source."""
LONGEST_MESSAGE = 8192
"""Characters of an event's message: the rest of a longer one is cut."""

# A line is shown on terminals and pages and goes into databases: a control character in it means
# harm or nothing. Replacing instead of refusing it, an attacker cannot hide a line with one.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")

_LEVELS = {
    **dict.fromkeys(
        ("emerg", "emergency", "panic", "alert", "crit", "critical", "fatal"),
        IncidentSeverity.CRITICAL,
    ),
    **dict.fromkeys(("err", "error", "severe", "high"), IncidentSeverity.HIGH),
    **dict.fromkeys(("warn", "warning", "medium"), IncidentSeverity.MEDIUM),
    **dict.fromkeys(
        ("notice", "info", "information", "debug", "trace", "low"), IncidentSeverity.LOW
    ),
}


# Not a dataclass: one is made for each line, and a frozen dataclass takes three times as long.
class Draft(NamedTuple):
    """What a line says, before it has an id."""

    at: datetime
    event_type: str
    source: str
    severity: IncidentSeverity
    message: str
    metadata: dict[str, JsonValue]
    correlation_id: str | None = None
    event_id: str = ""
    """The id that the line itself gives."""
    repeated: int | None = None
    """How many times it happened, where the line says so."""


class Pattern:
    """The base of the patterns: cleans the line, and takes a line that makes no sense as none."""

    most_repeats = 100
    """One line stands for so many events at most."""

    def parse(self, line: str, *, number: int, origin: str) -> Sequence[IncidentEvent]:
        """Give the events that the line tells of: none where it is not of this form."""
        if len(line) > LONGEST_LINE:
            return ()
        try:
            draft = self.read(clean(line), origin=origin)
            if draft is None:
                return ()
            if draft.repeated is None:
                identity = draft.event_id or event_id(origin, number)
                return (self.build(draft, identity, draft.metadata),)
            return self._repeats(draft, draft.repeated, number, origin)
        except (ValueError, OverflowError):
            # Such as 30 February: it looks like such a line and is none.
            return ()

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line, or None where it is not of this form.

        Raises:
            ValueError: it looked like one and is not.
            OverflowError: a number in it is too large.
        """
        raise NotImplementedError

    def build(self, draft: Draft, identity: str, metadata: dict[str, JsonValue]) -> IncidentEvent:
        """Make the event of a draft whose values are known to be of the right types."""
        # Validating again what the pattern has just made takes as long as reading the line.
        return IncidentEvent.model_construct(
            event_id=identity,
            timestamp=draft.at,
            event_type=draft.event_type[:LONGEST_NAME],
            source=draft.source[:LONGEST_NAME],
            severity=draft.severity,
            message=draft.message[:LONGEST_MESSAGE],
            metadata=metadata,
            correlation_id=draft.correlation_id,
        )

    def _repeats(
        self, draft: Draft, repeated: int, number: int, origin: str
    ) -> Sequence[IncidentEvent]:
        times = min(max(repeated, 1), self.most_repeats)
        return [
            self.build(
                draft, event_id(origin, number, repeat), {**draft.metadata, "repeated": repeated}
            )
            for repeat in range(1, times + 1)
        ]


def event_id(origin: str, number: int, repeat: int = 0) -> str:
    """Derive the id of the event that stands at a place of a file."""
    identity = f"{origin}:{number}:{repeat}" if repeat else f"{origin}:{number}"
    if len(identity) <= LONGEST_NAME:
        return identity
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()


def base_name(origin: str) -> str:
    """Name the file of an origin without its folder, as the source of its events."""
    return clean(origin.rpartition("/")[2]) or "log"


def clean(text: str) -> str:
    """Replace what is no text."""
    return text if text.isprintable() else _CONTROL.sub("\ufffd", text)


def severity_of(
    level: object, default: IncidentSeverity = IncidentSeverity.LOW
) -> IncidentSeverity:
    """Translate the level that a log gives, in any case."""
    return _LEVELS.get(level.lower(), default) if isinstance(level, str) else default


def given(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Keep what has a value."""
    return {key: value for key, value in values.items() if value is not None and value != ""}
