"""The access log of nginx in its combined format, and its error log."""

from __future__ import annotations

import re

from pydantic import JsonValue

from tocsin.models import IncidentSeverity
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import Draft, Pattern, base_name, given, severity_of

_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
# The user name may hold brackets but no quotation mark: the instant is in the last brackets before
# the first quotation mark.
_ACCESS = re.compile(
    rf'(\S+) \S+ ([^"]*) \[([^\]"]{{20,40}})\] {_QUOTED} ([0-9]{{3}}) ([0-9]{{1,18}}|-)'
    rf"(?: {_QUOTED} {_QUOTED})?(?: .*)?",
    re.DOTALL,
)
_REQUEST = re.compile(r"(\S+) (\S+)(?: (HTTP/[0-9.]+))?")
_ERROR = re.compile(
    r"([0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) "
    r"\[(emerg|alert|crit|error|warn|notice|info|debug)\] "
    r"([0-9]{1,10})#([0-9]{1,10}): (?:\*([0-9]{1,18}) )?(.*)",
    re.DOTALL,
)
_ABOUT = re.compile(
    r'([^,\s]+), server: ([^,"]*)(?:, request: "([^"]*)")?(?:, subrequest: "[^"]*")?'
    r'(?:, upstream: "([^"]*)")?(?:, host: "([^"]*)")?(?:, referrer: "[^"]*")?'
)
_CLIENT = ", client: "
_FAILED = 500
_TOO_MANY = 429


class NginxPattern(Pattern):
    """Requests as `nginx.request`, lines of the error log as `nginx.<level>`."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        return self._error(line, origin) or self._access(line, origin)

    def _error(self, line: str, origin: str) -> Draft | None:
        found = _ERROR.fullmatch(line)
        if found is None:
            return None
        stamp, level, process, thread, connection, text = found.groups()
        metadata: dict[str, JsonValue] = {
            "level": level,
            "pid": int(process),
            "tid": int(thread),
            **given({"connection": int(connection) if connection else None}),
        }
        # Path and request are written as the client sent them: where they imitate the fields
        # after them, nothing says which are the real ones.
        if text.count(_CLIENT) == 1 and (about := _ABOUT.fullmatch(text.partition(_CLIENT)[2])):
            names = ("client", "server", "request", "upstream", "host")
            metadata |= given(dict(zip(names, about.groups(), strict=True)))
        return Draft(
            at=self._calendar.nginx(stamp),
            event_type=f"nginx.{level}",
            source=base_name(origin),
            severity=severity_of(level),
            message=text,
            metadata=metadata,
        )

    def _access(self, line: str, origin: str) -> Draft | None:
        found = _ACCESS.fullmatch(line)
        if found is None:
            return None
        client, user, stamp, request, status, size, referrer, agent = found.groups()
        code = int(status)
        return Draft(
            at=self._calendar.access(stamp),
            event_type="nginx.request",
            source=base_name(origin),
            severity=_severity(code),
            message=f"{request} {status}",
            metadata={
                "client": client,
                **_request(request),
                "status": code,
                "bytes": 0 if size == "-" else int(size),
                **given({"user": _unless_nil(user)}),
                **given({"referrer": _unless_nil(referrer), "agent": _unless_nil(agent)}),
            },
        )


def _severity(status: int) -> IncidentSeverity:
    if status >= _FAILED:
        return IncidentSeverity.HIGH
    return IncidentSeverity.MEDIUM if status == _TOO_MANY else IncidentSeverity.LOW


def _request(request: str) -> dict[str, JsonValue]:
    found = _REQUEST.fullmatch(request)
    if found is None:
        return {"request": request}
    return given(dict(zip(("method", "path", "protocol"), found.groups(), strict=True)))


def _unless_nil(text: str | None) -> str | None:
    return None if text == "-" else text
