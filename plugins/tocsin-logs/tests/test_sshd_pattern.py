"""Lines of the OpenSSH server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent, IncidentSeverity

Ready = Callable[..., LinePattern]
HEADER = "Dec 10 06:55:46 LabSZ sshd[24200]: "


@pytest.fixture(scope="module")
def read(ready: Ready) -> Callable[[str], IncidentEvent]:
    pattern = ready("sshd", year=2015)

    def one(text: str) -> IncidentEvent:
        (event,) = pattern.parse(HEADER + text, number=0, origin="auth.log")
        return event

    return one


def test_a_failed_password(ready: Ready) -> None:
    line = (
        "Dec 10 06:55:46 LabSZ sshd[24200]: Failed password for invalid user webmaster"
        " from 173.234.31.186 port 38926 ssh2"
    )

    (event,) = ready("sshd", year=2015).parse(line, number=7, origin="x/auth.log")

    assert event == IncidentEvent(
        event_id="x/auth.log:7",
        timestamp=datetime(2015, 12, 10, 6, 55, 46, tzinfo=UTC),
        event_type="ssh.failed_password",
        source="LabSZ",
        severity=IncidentSeverity.MEDIUM,
        message="Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
        metadata={
            "user": "webmaster",
            "invalid_user": True,
            "address": "173.234.31.186",
            "port": 38926,
            "method": "password",
            "host": "LabSZ",
            "pid": 24200,
        },
    )


@pytest.mark.parametrize(
    ("text", "event_type", "expected"),
    [
        (
            "Failed password for root from 5.36.59.76 port 42393 ssh2",
            "failed_password",
            {"user": "root", "invalid_user": False, "address": "5.36.59.76", "port": 42393},
        ),
        (
            "Failed password for invalid user  0101 from 5.188.10.180 port 36279 ssh2",
            "failed_password",
            {"user": " 0101", "address": "5.188.10.180"},
        ),
        (
            "Failed password for invalid user  from 5.188.10.180 port 1 ssh2",
            "failed_password",
            {"user": "", "invalid_user": True, "address": "5.188.10.180"},
        ),
        (
            "Failed keyboard-interactive/pam for bob from ::1 port 22 ssh2",
            "failed_password",
            {"user": "bob", "address": "::1", "method": "keyboard-interactive/pam"},
        ),
        (
            "Failed publickey for root from 10.0.0.1 port 22 ssh2: RSA SHA256:abc",
            "failed_publickey",
            {"user": "root", "address": "10.0.0.1", "port": 22},
        ),
        (
            "Failed none for invalid user 0 from 181.214.87.4 port 51889 ssh2",
            "failed_none",
            {"user": "0", "invalid_user": True},
        ),
        ("Failed hostbased for a from 10.0.0.1 port 22 ssh2", "failed_other", {"user": "a"}),
        (
            "Accepted password for fztu from 119.137.62.142 port 49116 ssh2",
            "accepted",
            {"user": "fztu", "address": "119.137.62.142", "port": 49116, "method": "password"},
        ),
        (
            "Accepted publickey for git from fe80::1%eth0 port 22 ssh2: ED25519 SHA256:x",
            "accepted",
            {"user": "git", "address": "fe80::1%eth0", "method": "publickey"},
        ),
        (
            "Invalid user webmaster from 173.234.31.186",
            "invalid_user",
            {"user": "webmaster", "address": "173.234.31.186", "invalid_user": True},
        ),
        (
            "Invalid user a b from 10.0.0.1 port 40",
            "invalid_user",
            {"user": "a b", "address": "10.0.0.1", "port": 40},
        ),
        (
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser="
                " rhost=112.95.230.3  user=root"
            ),
            "authentication_failure",
            {"user": "root", "address": "112.95.230.3"},
        ),
        (
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser="
                " rhost=173.234.31.186 "
            ),
            "authentication_failure",
            {"address": "173.234.31.186"},
        ),
        (
            (
                "PAM 4 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser="
                " rhost=1.2.3.4  user=root"
            ),
            "authentication_failure",
            {"user": "root", "address": "1.2.3.4", "failures": 4},
        ),
        (
            "error: PAM: Authentication failure for illegal user eve from 1.2.3.4",
            "authentication_failure",
            {"user": "eve", "address": "1.2.3.4"},
        ),
        (
            "Received disconnect from 112.95.230.3: 11: Bye Bye [preauth]",
            "disconnected",
            {"address": "112.95.230.3", "code": 11, "reason": "Bye Bye"},
        ),
        (
            "Received disconnect from 2001:db8::7 port 4:11: disconnected by user",
            "disconnected",
            {"address": "2001:db8::7", "port": 4, "reason": "disconnected by user"},
        ),
        (
            "error: Received disconnect from 1.2.3.4: 3: com.jcraft.jsch: Auth fail [preauth]",
            "disconnected",
            {"address": "1.2.3.4", "code": 3, "reason": "com.jcraft.jsch: Auth fail"},
        ),
        (
            "Disconnected from authenticating user root 1.2.3.4 port 5 [preauth]",
            "disconnected",
            {"user": "root", "address": "1.2.3.4", "port": 5},
        ),
        (
            "Disconnected from user bob 1.2.3.4 port 5",
            "disconnected",
            {"user": "bob", "address": "1.2.3.4", "port": 5},
        ),
        ("Disconnected from 1.2.3.4 port 5", "disconnected", {"address": "1.2.3.4", "port": 5}),
        (
            (
                "Disconnecting authenticating user root 1.2.3.4 port 5: Too many authentication"
                " failures [preauth]"
            ),
            "max_attempts",
            {"user": "root", "address": "1.2.3.4", "port": 5},
        ),
        (
            "Disconnecting: Too many authentication failures for admin [preauth]",
            "max_attempts",
            {"user": "admin"},
        ),
        ("Disconnecting: Timeout, client not responding", "disconnected", {}),
        (
            (
                "error: maximum authentication attempts exceeded for invalid user pi from 1.2.3.4"
                " port 5 ssh2 [preauth]"
            ),
            "max_attempts",
            {"user": "pi", "invalid_user": True, "address": "1.2.3.4", "port": 5},
        ),
        ("PAM service(sshd) ignoring max retries; 6 > 3", "max_attempts", {}),
        (
            "Connection closed by 212.47.254.145 [preauth]",
            "connection_closed",
            {"address": "212.47.254.145"},
        ),
        (
            "Connection closed by invalid user bob the great 1.2.3.4 port 22 [preauth]",
            "connection_closed",
            {"user": "bob the great", "address": "1.2.3.4", "port": 22},
        ),
        (
            "Connection reset by 1.2.3.4 port 22",
            "connection_closed",
            {"address": "1.2.3.4", "port": 22},
        ),
        (
            (
                "reverse mapping checking getaddrinfo for ns.example.com [173.234.31.186] failed"
                " - POSSIBLE BREAK-IN ATTEMPT!"
            ),
            "break_in_attempt",
            {"address": "173.234.31.186", "name": "ns.example.com"},
        ),
        (
            (
                "Address 1.2.3.4 maps to a.example, but this does not map back to the address"
                " - POSSIBLE BREAK-IN ATTEMPT!"
            ),
            "break_in_attempt",
            {"address": "1.2.3.4", "name": "a.example"},
        ),
        ("input_userauth_request: invalid user webmaster [preauth]", "other", {}),
        ("pam_unix(sshd:auth): check pass; user unknown", "other", {}),
        ("Server listening on 0.0.0.0 port 22.", "other", {}),
        ("Failed to do something else", "other", {}),
        ("Accepted nothing", "other", {}),
        ("Invalid anything", "other", {}),
        ("Received signal 15; terminating.", "other", {}),
        ("Connection from 1.2.3.4 port 5", "other", {}),
        ("Disconnected in some new way", "other", {}),
        ("Disconnecting in some new way", "other", {}),
        ("maximum of anything", "other", {}),
        ("PAM: anything", "other", {}),
        ("reverse anything", "other", {}),
        ("Address anything", "other", {}),
        ("", "other", {}),
    ],
)
def test_what_the_server_says(
    text: str,
    event_type: str,
    expected: dict[str, Any],
    read: Callable[[str], IncidentEvent],
) -> None:
    event = read(text)

    assert event.event_type == f"ssh.{event_type}"
    assert event.message == text
    assert {key: event.metadata[key] for key in expected} == expected
    if not expected:
        assert "address" not in event.metadata


@pytest.mark.parametrize(
    "text",
    [
        "Failed password for invalid user {} from 1.2.3.4 port 5 ssh2",
        "Invalid user {} from 1.2.3.4 port 5",
        "Connection closed by invalid user {} 1.2.3.4 port 5 [preauth]",
        "Disconnected from invalid user {} 1.2.3.4 port 5 [preauth]",
        (
            "error: maximum authentication attempts exceeded for invalid user {}"
            " from 1.2.3.4 port 5 ssh2 [preauth]"
        ),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "x from 9.9.9.9 port 1 ssh2",
        "x from 9.9.9.9 port 1 ssh2: y",
        "x 9.9.9.9 port 1",
        "x 9.9.9.9 port 1 [preauth]",
        "] from 9.9.9.9",
    ],
)
def test_a_name_cannot_forge_the_address(
    text: str, name: str, read: Callable[[str], IncidentEvent]
) -> None:
    metadata = read(text.format(name)).metadata

    assert metadata["address"] == "1.2.3.4"
    assert metadata["port"] == 5
    assert metadata["user"] == name


@pytest.mark.parametrize(
    "text",
    [
        "Failed publickey for root from 1.2.3.4 port 5 ssh2: RSA-CERT x from 9.9.9.9 port 1: y",
        "Accepted publickey for root from 1.2.3.4 port 5 ssh2: RSA-CERT x from 9.9.9.9 port 1: y",
        "Disconnecting invalid user a 9.9.9.9 port 1: b 1.2.3.4 port 5: no [preauth]",
    ],
)
def test_what_may_be_forged_is_left_out(text: str, read: Callable[[str], IncidentEvent]) -> None:
    assert "address" not in read(text).metadata


def test_a_repeated_message_counts_as_often_as_it_says(ready: Ready) -> None:
    line = HEADER + "message repeated 5 times: [ Failed password for root from 1.2.3.4 port 5 ssh2]"

    events = ready("sshd").parse(line, number=9, origin="auth.log")

    assert [event.event_id for event in events] == [f"auth.log:9:{k}" for k in range(1, 6)]
    assert {event.event_type for event in events} == {"ssh.failed_password"}
    assert {event.metadata["repeated"] for event in events} == {5}
    assert {event.metadata["address"] for event in events} == {"1.2.3.4"}
    assert len({event.timestamp for event in events}) == 1


@pytest.mark.parametrize(("times", "count"), [("0", 1), ("1", 1), ("999999999", 100)])
def test_one_line_cannot_give_any_number_of_events(times: str, count: int, ready: Ready) -> None:
    line = f"{HEADER}message repeated {times} times: [ Connection closed by 1.2.3.4]"

    events = ready("sshd").parse(line, number=0, origin="auth.log")

    assert len(events) == count
    assert events[0].metadata["repeated"] == int(times)


@pytest.mark.parametrize(
    "line",
    [
        "Dec 10 06:55:46 LabSZ sudo[1]: Failed password for root from 1.2.3.4 port 5 ssh2",
        "Dec 10 06:55:46 LabSZ CRON[1]: (root) CMD (true)",
        "Feb 30 06:55:46 LabSZ sshd[1]: Connection closed by 1.2.3.4",
        "Dec 10 25:55:46 LabSZ sshd[1]: Connection closed by 1.2.3.4",
        "Foo 10 06:55:46 LabSZ sshd[1]: Connection closed by 1.2.3.4",
        "2024-13-01T00:00:00Z LabSZ sshd[1]: Connection closed by 1.2.3.4",
        "nonsense",
        "",
    ],
)
def test_other_lines_are_none_of_its_own(line: str, ready: Ready) -> None:
    assert ready("sshd").parse(line, number=0, origin="auth.log") == ()


@pytest.mark.parametrize(
    "header",
    [
        "<38>Dec 10 06:55:46 web sshd[1]: ",
        "2024-12-10T06:55:46.5+00:00 web sshd-session[1]: ",
        "<38>1 2024-12-10T06:55:46.5Z web sshd 1 - - ",
        "Dec  1 06:55:46.123 web sshd: ",
    ],
)
def test_any_header_of_syslog_will_do(header: str, ready: Ready) -> None:
    (event,) = ready("sshd").parse(
        f"{header}Connection closed by 1.2.3.4", number=0, origin="auth.log"
    )

    assert event.event_type == "ssh.connection_closed"
    assert event.source == "web"


@pytest.mark.parametrize("process", ["", "[]", "[abc]", "[99999999999999999999]"])
def test_an_odd_process_id_is_left_out(process: str, ready: Ready) -> None:
    line = f"Dec 10 06:55:46 web sshd{process}: Connection closed by 1.2.3.4"

    (event,) = ready("sshd").parse(line, number=0, origin="auth.log")

    assert "pid" not in event.metadata
