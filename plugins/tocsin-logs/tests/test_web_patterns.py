"""Lines of the Apache and nginx servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent, IncidentSeverity

Ready = Callable[..., LinePattern]


@pytest.fixture(scope="module")
def apache(ready: Ready) -> Callable[[str], IncidentEvent]:
    pattern = ready("apache_error")

    def one(line: str) -> IncidentEvent:
        (event,) = pattern.parse(line, number=3, origin="a/error_log")
        return event

    return one


@pytest.fixture(scope="module")
def nginx(ready: Ready) -> Callable[[str], IncidentEvent]:
    pattern = ready("nginx")

    def one(line: str) -> IncidentEvent:
        (event,) = pattern.parse(line, number=3, origin="n/access.log")
        return event

    return one


def test_an_apache_error(apache: Callable[[str], IncidentEvent]) -> None:
    event = apache("[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6")

    assert event == IncidentEvent(
        event_id="a/error_log:3",
        timestamp=datetime(2005, 12, 4, 4, 47, 44, tzinfo=UTC),
        event_type="apache.error",
        source="error_log",
        severity=IncidentSeverity.HIGH,
        message="mod_jk child workerEnv in error state 6",
        metadata={"level": "error"},
    )


@pytest.mark.parametrize(
    ("line", "event_type", "message", "metadata"),
    [
        (
            (
                "[Sun Dec 04 05:15:09 2005] [error] [client 222.166.160.184]"
                " Directory index forbidden by rule: /var/www/html/"
            ),
            "apache.error",
            "Directory index forbidden by rule: /var/www/html/",
            {"level": "error", "client": "222.166.160.184"},
        ),
        (
            (
                "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416]"
                " [client 72.15.99.187:50532] AH00128: File does not exist: /x"
            ),
            "apache.error",
            "AH00128: File does not exist: /x",
            {
                "level": "error",
                "module": "core",
                "pid": 35708,
                "tid": "4328636416",
                "client": "72.15.99.187",
                "port": 50532,
                "code": "AH00128",
            },
        ),
        (
            "[Fri Sep 09 10:42:29.902022 2011] [:notice] [pid 1] [client ::1:50532] x",
            "apache.notice",
            "x",
            {"level": "notice", "pid": 1, "client": "::1", "port": 50532},
        ),
        (
            "[Fri Sep 09 10:42:29 2011] [ssl:warn] [pid 1] [client 2001:db8::1:50532] x",
            "apache.warn",
            "x",
            {"level": "warn", "module": "ssl", "pid": 1, "client": "2001:db8::1", "port": 50532},
        ),
        (
            "[Fri Sep 09 10:42:29 2011] [error] [client ::1] x",
            "apache.error",
            "x",
            {"level": "error", "client": "::1"},
        ),
        (
            "[Fri Sep 09 10:42:29 2011] [http:trace3] x",
            "apache.trace",
            "x",
            {"level": "trace3", "module": "http"},
        ),
    ],
)
def test_apache_lines(
    line: str,
    event_type: str,
    message: str,
    metadata: dict[str, Any],
    apache: Callable[[str], IncidentEvent],
) -> None:
    event = apache(line)

    assert (event.event_type, event.message, event.metadata) == (event_type, message, metadata)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("emerg", "critical"),
        ("crit", "critical"),
        ("error", "high"),
        ("warn", "medium"),
        ("notice", "low"),
        ("trace8", "low"),
    ],
)
def test_apache_levels(level: str, severity: str, apache: Callable[[str], IncidentEvent]) -> None:
    event = apache(f"[Fri Sep 09 10:42:29 2011] [{level}] x")

    assert event.severity is IncidentSeverity(severity)


@pytest.mark.parametrize(
    "line",
    [
        "[Fri Feb 30 10:42:29 2011] [error] x",
        "[Fri Sep 09 10:42:29 2011] [loud] x",
        "[not a date at all, no!] [error] x",
        "[Fri Sep 09 10:42:29 2011] no level",
        "(gdb) anything",
    ],
)
def test_what_is_no_apache_line(line: str, ready: Ready) -> None:
    assert ready("apache_error").parse(line, number=0, origin="error_log") == ()


def test_an_nginx_request(nginx: Callable[[str], IncidentEvent]) -> None:
    event = nginx(
        (
            '10.0.0.7 - bob [10/Oct/2024:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 502 157'
            ' "https://example.com/" "curl/8.0"'
        ),
    )

    assert event == IncidentEvent(
        event_id="n/access.log:3",
        timestamp=datetime(2024, 10, 10, 20, 55, 36, tzinfo=UTC),
        event_type="nginx.request",
        source="access.log",
        severity=IncidentSeverity.HIGH,
        message="GET /a?b=c HTTP/1.1 502",
        metadata={
            "client": "10.0.0.7",
            "method": "GET",
            "path": "/a?b=c",
            "protocol": "HTTP/1.1",
            "status": 502,
            "bytes": 157,
            "user": "bob",
            "referrer": "https://example.com/",
            "agent": "curl/8.0",
        },
    )


@pytest.mark.parametrize(
    ("status", "severity"), [(200, "low"), (404, "low"), (429, "medium"), (500, "high")]
)
def test_the_status_sets_the_severity(
    status: int, severity: str, nginx: Callable[[str], IncidentEvent]
) -> None:
    event = nginx(f'1.2.3.4 - - [10/Oct/2024:13:55:36 +0000] "GET / HTTP/2.0" {status} 0')

    assert event.severity is IncidentSeverity(severity)
    assert event.metadata["status"] == status


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('1.2.3.4 - - [10/Oct/2024:13:55:36 +0000] "" 400 0 "-" "-"', {"request": ""}),
        (
            '1.2.3.4 - - [10/Oct/2024:13:55:36 +0000] "\\x16\\x03" 400 - "-" "a \\"b\\" c" extra',
            {"request": "\\x16\\x03", "bytes": 0, "agent": 'a \\"b\\" c'},
        ),
        (
            '::1 - a [b] "c [10/Oct/2024:13:55:36 +0000] "GET / HTTP/1.1" 200 1',
            None,
        ),
        (
            (
                "::1 - a [9/Oct/2024:13:55:36 +0000] x [10/Oct/2024:13:55:36 +0000]"
                ' "GET / HTTP/1.0" 200 1'
            ),
            {"client": "::1", "user": "a [9/Oct/2024:13:55:36 +0000] x", "status": 200},
        ),
    ],
)
def test_odd_requests(line: str, expected: dict[str, Any] | None, ready: Ready) -> None:
    events = ready("nginx").parse(line, number=0, origin="access.log")

    if expected is None:
        assert events == ()
        return
    assert {key: events[0].metadata[key] for key in expected} == expected
    assert events[0].timestamp.day == 10


ERROR = (
    '2023/01/02 15:04:05 [error] 1234#5678: *90 open() "/srv/{}" failed (2: No such file or'
    " directory), client: 1.2.3.4, server: example.com, request:"
    ' "GET /{} HTTP/1.1", upstream: "http://10.0.0.1:80/", host: "example.com"'
)


def test_an_nginx_error(nginx: Callable[[str], IncidentEvent]) -> None:
    event = nginx(ERROR.format("x", "x"))

    assert event.event_type == "nginx.error"
    assert event.severity is IncidentSeverity.HIGH
    assert event.timestamp == datetime(2023, 1, 2, 15, 4, 5, tzinfo=UTC)
    assert event.metadata == {
        "level": "error",
        "pid": 1234,
        "tid": 5678,
        "connection": 90,
        "client": "1.2.3.4",
        "server": "example.com",
        "request": "GET /x HTTP/1.1",
        "upstream": "http://10.0.0.1:80/",
        "host": "example.com",
    }


def test_an_nginx_notice_about_nobody(nginx: Callable[[str], IncidentEvent]) -> None:
    event = nginx("2023/01/02 15:04:05 [notice] 1#1: start worker processes")

    assert event.event_type == "nginx.notice"
    assert event.message == "start worker processes"
    assert event.metadata == {"level": "notice", "pid": 1, "tid": 1}


@pytest.mark.parametrize("place", [0, 1])
def test_a_request_cannot_forge_the_client(
    place: int, nginx: Callable[[str], IncidentEvent]
) -> None:
    forged = 'x", client: 9.9.9.9, server: y, request: "GET /'
    parts = ["x", "x"]
    parts[place] = forged

    assert "client" not in nginx(ERROR.format(*parts)).metadata
