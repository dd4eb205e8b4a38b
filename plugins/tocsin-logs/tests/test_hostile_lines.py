"""Lines written by somebody who means harm: no pattern raises, and every event is a valid one."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent
from tocsin_logs import LogsParams, line_patterns
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns import pattern_of
from tocsin_logs.patterns.drafts import LONGEST_LINE, base_name, event_id

SETTINGS: list[Any] = [
    {"regex": "(?P<timestamp>[^ ]*) (?P<n>.*)", "event_type": "x", "numeric": ["n"]},
    {"regex": "(?P<event_type>[^ ]*)(?P<source>.*)(?P<severity>.*)", "event_type": "x"},
    {"fields": {"timestamp": "t", "event_type": "a.b"}, "event_type": "x"},
]
SAMPLES = {
    "sshd": "Dec 1 06:55:48 h sshd[2]: Failed password for invalid user x from 1.2.3.4 port 5 ssh2",
    "syslog": '<165>1 2003-10-11T22:14:15.003Z h a - ID47 [x@1 k="v"] text',
    "apache_error": "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 1:tid 2] [client a:1] x",
    "nginx": '1.2.3.4 - - [10/Oct/2024:13:55:36 +0000] "GET / HTTP/1.0" 200 1 "-" "-"',
    "jsonl": '{"timestamp": 1, "event_type": "x", "metadata": {"a": [1, 2.5, null]}}',
}


def patterns() -> dict[str, LinePattern]:
    made = {name: make(year=None, timezone=UTC) for name, make in line_patterns().items()}
    now = datetime(2025, 3, 1, tzinfo=UTC)
    for number, described in enumerate(SETTINGS):
        params = LogsParams.model_validate({"files": ["x"], "pattern": described})
        made[f"settings {number}"] = pattern_of(params.pattern, Calendar(now=lambda: now))
    return made


ALL = patterns()


def check(line: str, origin: str = "app.log") -> None:
    for pattern in ALL.values():
        events = pattern.parse(line, number=3, origin=origin)
        assert len(events) <= 100
        assert len({event.event_id for event in events}) == len(events)
        for event in events:
            # What was built without checking passes the check, and JSON can hold it.
            assert IncidentEvent.model_validate(event.model_dump()) == event
            IncidentEvent.model_validate_json(event.model_dump_json())


@given(line=st.text())
def test_any_text(line: str) -> None:
    check(line)


@given(line=st.binary())
def test_any_bytes(line: bytes) -> None:
    check(line.decode("utf-8", "replace"))
    check(line.decode("latin-1"))
    check(line.decode("utf-8", "surrogateescape"))


@given(
    sample=st.sampled_from(sorted(SAMPLES.values())),
    seed=st.integers(),
    piece=st.text(max_size=8)
    | st.sampled_from([" from ", " port ", '"', "\\", "[", "]", "<", "\0"]),
)
def test_lines_that_are_nearly_right(sample: str, seed: int, piece: str) -> None:
    chance = random.Random(seed)
    start, end = sorted(chance.choices(range(len(sample) + 1), k=2))

    check(sample[:start] + piece + sample[end:])
    check(sample[:start] + piece + sample[start:])


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json(value: Any) -> None:
    check(json.dumps(value))
    for field in (
        "timestamp",
        "event_type",
        "source",
        "severity",
        "message",
        "metadata",
        "event_id",
    ):
        check(json.dumps({"timestamp": 1, "event_type": "x", "t": 1, field: value}))


@given(origin=st.text())
def test_any_origin(origin: str) -> None:
    check(SAMPLES["sshd"], origin)
    check(SAMPLES["nginx"], origin)


LONG = [
    "a" * 60_000,
    " " * 60_000,
    "\0" * 60_000,
    "[" * 60_000,
    '"' * 60_000,
    "<1>1 " + "- " * 30_000,
    "<1>1 2003-10-11T22:14:15Z h a - - " + '[x a="' * 9_000,
    "<1>1 2003-10-11T22:14:15Z h a - - " + "[" + "=" * 60_000 + "]",
    "<1>1 2003-10-11T22:14:15Z h a - - " + "[x" + ' a=""' * 12_000 + "] x",
    "Dec 10 06:55:48 h sshd[1]: Failed password for " + "x from y port 1 " * 3_800,
    "Dec 10 06:55:48 h sshd[1]: Failed password for " + " from y port 1 ssh2: " * 2_800 + "\x00",
    "Dec 10 06:55:48 h sshd[1]: Invalid user " + " from" * 12_000,
    "Dec 10 06:55:48 h sshd[1]: Connection closed by invalid user " + "a " * 30_000,
    "Dec 10 06:55:48 h sshd[1]: Disconnecting: Too many authentication failures for"
    + " a" * 30_000,
    "Dec 10 06:55:48 h sshd[1]: pam_unix(sshd:auth): " + "authentication failure; rhost=a " * 1_900,
    "Dec 10 06:55:48 h sshd[1]: Received disconnect from " + "1:" * 30_000,
    "Dec 10 06:55:48 h sshd[1]: reverse mapping checking getaddrinfo for " + "a [b] " * 10_000,
    "Dec 10 06:55:48 h sshd[1]: message repeated 9 times: [ "
    + "message repeated 9 times: [ " * 2_000,
    "[Fri Sep 09 10:42:29 2011] [error] " + "[client a" * 6_000,
    '1.2.3.4 - - [10/Oct/2024:13:55:36 +0000] "' + '\\"' * 30_000,
    "1.2.3.4 - " + "- [10/Oct/2024:13:55:36 +0000] " * 1_900 + '"x" 200 1',
    "2023/01/02 15:04:05 [error] 1#1: x, client: a, server: " + ", host: " * 7_000,
    "{" * 60_000,
    '{"a":' * 12_000,
    '{"timestamp": 1, "event_type": "x", "n": ' + "9" * 60_000 + "}",
]


@pytest.mark.parametrize("line", LONG, ids=range(len(LONG)))
def test_long_lines_take_time_in_proportion(line: str) -> None:
    started = time.perf_counter()

    check(line)

    # A quadratic look at 60,000 characters takes seconds.
    assert time.perf_counter() - started < 1.5


def test_a_line_of_megabytes_is_none() -> None:
    line = SAMPLES["sshd"] + " " * LONGEST_LINE

    assert all(pattern.parse(line, number=0, origin="x") == () for pattern in ALL.values())


def test_control_characters_cannot_hide_a_line() -> None:
    line = SAMPLES["sshd"].replace("user x", "user \x1b[2J\x00\u0085\u2028y")

    (event,) = ALL["sshd"].parse(line, number=0, origin="x")

    assert event.event_type == "ssh.failed_password"
    assert event.metadata["user"] == "\ufffd[2J\ufffd\ufffd\u2028y"


def test_long_ids_are_hashed() -> None:
    long = "x" * 300

    assert len(event_id(long, 1)) == 64
    assert len({event_id(long, 1), event_id(long, 2), event_id(long, 1, 1), event_id("y", 1)}) == 4
    assert event_id("\ud800" * 300, 1)


@pytest.mark.parametrize(
    ("origin", "name"), [("a/b.log", "b.log"), ("b.log", "b.log"), ("a/", "log"), ("", "log")]
)
def test_the_source_is_the_name_of_the_file(origin: str, name: str) -> None:
    assert base_name(origin) == name


def test_every_sample_is_one() -> None:
    counts = [len(ALL[name].parse(line, number=0, origin="x")) for name, line in SAMPLES.items()]

    assert counts == [1] * len(SAMPLES)
