"""Lines of syslog."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentSeverity

Ready = Callable[..., LinePattern]


@pytest.mark.parametrize(
    ("line", "event_type", "message", "metadata"),
    [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "syslog.critical",
            "'su root' failed for lonvick on /dev/pts/8",
            {"host": "mymachine", "app": "su", "level": "critical", "facility": "auth"},
        ),
        (
            "Oct  1 22:14:15 web systemd-logind[812]: New session 3 of user a.",
            "syslog.line",
            "New session 3 of user a.",
            {"host": "web", "app": "systemd-logind", "pid": "812"},
        ),
        (
            "Oct  1 22:14:15 web last message repeated 3 times",
            "syslog.line",
            "last message repeated 3 times",
            {"host": "web"},
        ),
        (
            "2003-10-11T22:14:15.003Z web app[7]: text: more",
            "syslog.line",
            "text: more",
            {"host": "web", "app": "app", "pid": "7"},
        ),
        (
            (
                "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47"
                ' [exampleSDID@32473 iut="3" eventSource="Appli\\"cation" eventID="1\\]1"][x] '
                "\ufeffAn application event"
            ),
            "syslog.notice",
            "An application event",
            {
                "host": "mymachine.example.com",
                "app": "evntslog",
                "level": "notice",
                "facility": "local4",
                "message_id": "ID47",
                "structured": {
                    "exampleSDID@32473": {
                        "iut": "3",
                        "eventSource": 'Appli"cation',
                        "eventID": "1]1",
                    },
                    "x": {},
                },
            },
        ),
        (
            "<11>1 2003-10-11T22:14:15-07:00 - - 77 - -",
            "syslog.error",
            "",
            {"pid": "77", "level": "error", "facility": "user"},
        ),
    ],
)
def test_lines_of_both_standards(
    line: str, event_type: str, message: str, metadata: dict[str, Any], ready: Ready
) -> None:
    (event,) = ready("syslog", year=2003).parse(line, number=0, origin="log/messages")

    assert event.event_type == event_type
    assert event.message == message
    assert event.metadata == metadata
    assert event.source == metadata.get("host", "messages")
    assert event.timestamp.year == 2003


def test_the_zone_of_the_line_counts(ready: Ready) -> None:
    (event,) = ready("syslog").parse(
        "<11>1 2003-10-11T22:14:15.25-07:00 h a - - - x", number=0, origin="messages"
    )

    assert event.timestamp == datetime(2003, 10, 12, 5, 14, 15, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("priority", "severity"),
    [(0, "critical"), (2, "critical"), (3, "high"), (4, "medium"), (5, "low"), (7, "low")],
)
def test_the_priority_sets_the_severity(priority: int, severity: str, ready: Ready) -> None:
    (event,) = ready("syslog").parse(
        f"<{priority}>Oct 11 22:14:15 web app: x", number=0, origin="messages"
    )

    assert event.severity is IncidentSeverity(severity)


@pytest.mark.parametrize(
    "line",
    [
        "<192>Oct 11 22:14:15 web app: x",
        "<1234>Oct 11 22:14:15 web app: x",
        "<>Oct 11 22:14:15 web app: x",
        "<11",
        "<11>1 not-a-time web app - - - x",
        "<11>1 - web app - - - x",
        "<11>1 2003-10-11T22:14:15Z web app - - [broken x",
        "<11>1 2003-10-11T22:14:15Z web",
        "Oct 32 22:14:15 web app: x",
        "just text",
    ],
)
def test_what_is_no_such_line(line: str, ready: Ready) -> None:
    assert ready("syslog").parse(line, number=0, origin="messages") == ()
