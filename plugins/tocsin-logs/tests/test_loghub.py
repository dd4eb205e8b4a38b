"""Real logs of an OpenSSH and an Apache server: every line is understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent

pytestmark = pytest.mark.data
Ready = Callable[..., LinePattern]


def read(pattern: LinePattern, path: Path) -> list[IncidentEvent]:
    found: list[IncidentEvent] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            events = pattern.parse(line.rstrip("\n"), number=number, origin=path.name)
            assert events, line
            found += events
    assert len({event.event_id for event in found}) == len(found)
    return found


def test_openssh(data_dir: Path, ready: Ready) -> None:
    events = read(ready("sshd", year=2015), data_dir / "loghub" / "OpenSSH_2k.log")

    assert Counter(event.event_type for event in events) == {
        "ssh.failed_password": 528,
        "ssh.authentication_failure": 504,
        "ssh.disconnected": 468,
        "ssh.other": 261,
        "ssh.invalid_user": 113,
        "ssh.break_in_attempt": 85,
        "ssh.connection_closed": 34,
        "ssh.max_attempts": 10,
        "ssh.failed_none": 4,
        "ssh.accepted": 1,
    }
    assert {event.source for event in events} == {"LabSZ"}
    assert {event.timestamp.year for event in events} == {2015}
    addressed = [event for event in events if event.event_type == "ssh.failed_password"]
    assert all(event.metadata["address"] for event in addressed)


def test_openssh_as_plain_syslog(data_dir: Path, ready: Ready) -> None:
    events = read(ready("syslog", year=2015), data_dir / "loghub" / "OpenSSH_2k.log")

    assert len(events) == 2000
    assert {event.metadata["app"] for event in events} == {"sshd"}


def test_apache(data_dir: Path, ready: Ready) -> None:
    events = read(ready("apache_error"), data_dir / "loghub" / "Apache_2k.log")

    assert Counter(event.event_type for event in events) == {
        "apache.notice": 1405,
        "apache.error": 595,
    }
    assert sum("client" in event.metadata for event in events) == 32
    assert {event.timestamp.year for event in events} == {2005}


def test_following_the_file_gives_the_same(
    data_dir: Path, drive: Any, ready: Ready, tmp_path: Path
) -> None:
    path = tmp_path / "auth.log"
    # The last line of the original has no end, so that it would be waited for.
    path.write_bytes((data_dir / "loghub" / "OpenSSH_2k.log").read_bytes() + b"\n")
    driver = drive(files=["auth.log"], pattern="sshd", year=2015)
    driver.poll()

    expected = read(ready("sshd", year=2015), path)
    assert [(e.timestamp, e.event_type, e.metadata) for e in driver.events] == [
        (e.timestamp, e.event_type, e.metadata) for e in expected
    ]
