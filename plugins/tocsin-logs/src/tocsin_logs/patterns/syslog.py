"""Lines of syslog: RFC 3164 and RFC 5424, as sent and as daemons write them to files."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from tocsin.models import IncidentSeverity
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import Draft, Pattern, base_name, given, severity_of

_PRIORITY = re.compile(r"<([0-9]{1,3})>")
_TAG = r"(?:([^\s:\[]+)(?:\[([^\]\s]*)\])?: ?)?(.*)"
_TRADITIONAL = re.compile(
    r"([A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?) (\S+) " + _TAG,
    re.DOTALL,
)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\S{0,20}) (\S+) " + _TAG, re.DOTALL
)
_STRUCTURED = re.compile(
    r"1 (\S+) (\S+) (\S+) (\S+) (\S+) "
    r"(-|(?:\[[^\]\"]*(?:\"[^\"\\]*(?:\\.[^\"\\]*)*\"[^\]\"]*)*\])+)(?: (.*))?",
    re.DOTALL,
)
_ELEMENT = re.compile(r"\[([^\s\]=\"]+)((?:[^\]\"]*\"[^\"\\]*(?:\\.[^\"\\]*)*\")*)[^\]\"]*\]")
_PAIR = re.compile(r"([^\s=\]\"]+)=\"([^\"\\]*(?:\\.[^\"\\]*)*)\"")
_ESCAPED = re.compile(r"\\([\"\\\]])")

_HIGHEST_PRIORITY = 191
_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)


class Header(NamedTuple):
    """What stands before the text of a message, and the text."""

    at: datetime
    host: str
    app: str
    """The program, or an empty string where the line names none."""
    process: str
    text: str
    priority: int | None = None
    message_id: str = ""
    structured: dict[str, JsonValue] = {}  # noqa: RUF012 - never changed


def read_header(line: str, calendar: Calendar) -> Header | None:
    """Read the header of a line, or None where it is no line of syslog.

    Raises:
        ValueError: the line gives an instant that does not exist.
    """
    if not line.startswith("<"):
        return _unsent(line, calendar, None)
    found = _PRIORITY.match(line)
    if found is None or int(found[1]) > _HIGHEST_PRIORITY:
        return None
    priority, rest = int(found[1]), line[found.end() :]
    if rest.startswith("1 "):
        return _modern(rest, calendar, priority)
    return _unsent(rest, calendar, priority)


def _unsent(line: str, calendar: Calendar, priority: int | None) -> Header | None:
    if found := _TRADITIONAL.fullmatch(line):
        stamp, host, app, process, text = found.groups()
        at = calendar.syslog(stamp)
    elif found := _ISO.fullmatch(line):
        stamp, host, app, process, text = found.groups()
        at = calendar.auto(stamp)
    else:
        return None
    return Header(at, host, app or "", process or "", text, priority)


def _modern(line: str, calendar: Calendar, priority: int) -> Header | None:
    found = _STRUCTURED.fullmatch(line)
    if found is None:
        return None
    stamp, host, app, process, message_id, structured, text = found.groups()
    return Header(
        calendar.auto(stamp),
        _unless_nil(host),
        _unless_nil(app),
        _unless_nil(process),
        (text or "").removeprefix("\ufeff"),
        priority,
        _unless_nil(message_id),
        _elements(structured),
    )


def _unless_nil(text: str) -> str:
    return "" if text == "-" else text


def _elements(structured: str) -> dict[str, JsonValue]:
    return {
        name: {key: _ESCAPED.sub(r"\1", value) for key, value in _PAIR.findall(pairs)}
        for name, pairs in _ELEMENT.findall(structured)
    }


class SyslogPattern(Pattern):
    """Every line of syslog, as `syslog.<level>`, or `syslog.line` where no priority is given."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        header = read_header(line, self._calendar)
        if header is None:
            return None
        level = facility = None
        severity = IncidentSeverity.LOW
        if header.priority is not None:
            level = _LEVELS[header.priority % 8]
            facility = _FACILITIES[header.priority // 8]
            severity = severity_of(level)
        return Draft(
            at=header.at,
            event_type=f"syslog.{level or 'line'}",
            source=header.host or base_name(origin),
            severity=severity,
            message=header.text,
            metadata=given(
                {
                    "host": header.host,
                    "app": header.app,
                    "pid": header.process,
                    "level": level,
                    "facility": facility,
                    "message_id": header.message_id,
                    "structured": header.structured or None,
                }
            ),
        )
