"""Patterns that settings describe, and events as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent, IncidentSeverity
from tocsin_logs import LogsParams
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns import pattern_of

Ready = Callable[..., LinePattern]
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def reading(line: str, **pattern: Any) -> IncidentEvent | None:
    params = LogsParams.model_validate({"files": ["x"], "pattern": pattern})
    events = pattern_of(params.pattern, Calendar(now=lambda: NOW)).parse(
        line, number=5, origin="g/app.log"
    )
    return events[0] if events else None


def one(line: str, **pattern: Any) -> IncidentEvent:
    event = reading(line, **pattern)
    assert event is not None
    return event


def problem(**pattern: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        LogsParams.model_validate({"files": ["x"], "pattern": pattern})
    return str(caught.value.errors()[0]["msg"])


class TestExpressions:
    def test_groups_become_fields_and_metadata(self) -> None:
        event = one(
            "2024-05-06T07:08:09Z WARN api-1 req=abc took 250 ms, 1.5 MB: slow",
            regex=(
                r"^(?P<timestamp>\S+) (?P<severity>\w+) (?P<source>\S+) req=(?P<correlation_id>\w+)"
                r" took (?P<ms>\d+) ms, (?P<size>\S+) MB: (?P<message>.*)$"
            ),
            event_type="slow_request",
            numeric=["ms", "size"],
        )

        assert event == IncidentEvent(
            event_id="g/app.log:5",
            timestamp=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
            event_type="slow_request",
            source="api-1",
            severity=IncidentSeverity.MEDIUM,
            message="slow",
            metadata={"ms": 250, "size": 1.5},
            correlation_id="abc",
        )

    def test_what_the_line_does_not_give_comes_from_the_settings(self) -> None:
        event = one("disk full", regex="full", event_type="disk_full", severity="high", source="db")

        assert event.timestamp == NOW
        assert event.severity is IncidentSeverity.HIGH
        assert (event.source, event.message, event.metadata) == ("db", "disk full", {})
        assert one("x", regex="x", event_type="y").source == "app.log"

    def test_the_line_may_give_the_type(self) -> None:
        regex = "^(?P<event_type>[a-z_]*):"

        assert one("job_failed: 7", regex=regex).event_type == "job_failed"
        assert reading(": 7", regex=regex) is None

    def test_a_format_and_a_group_for_the_instant(self) -> None:
        event = one(
            "at 10/Oct/2024 x",
            regex=r"at (?P<ts>\S+)",
            event_type="x",
            timestamp={"group": "ts", "format": "%d/%b/%Y"},
        )

        assert event.timestamp == datetime(2024, 10, 10, tzinfo=UTC)
        assert "ts" not in event.metadata

    def test_a_wrong_instant_makes_the_line_none(self) -> None:
        assert reading("30/Feb/2024", regex="(?P<timestamp>.*)", event_type="x") is None

    def test_own_words_for_severities(self) -> None:
        settings = {"regex": "^(?P<severity>[A-Z])", "event_type": "x", "severity": "medium"}

        assert one("E", **settings, severities={"E": "critical"}).severity == "critical"
        assert one("Q", **settings).severity == "medium"

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("7", 7),
            ("-7", -7),
            ("+0.5", 0.5),
            ("1e3", 1000.0),
            ("123456789012345678901234567890", 1.2345678901234568e29),
            ("-", None),
            ("1e999", None),
            ("nan", None),
            ("1_0", None),
            ("1.2.3", None),
            ("٣", None),
            ("", None),
        ],
    )
    def test_numbers(self, text: str, number: float | None) -> None:
        event = one(f"n={text};", regex="n=(?P<n>[^;]*);", event_type="x", numeric=["n"])

        assert event.metadata.get("n") == number
        assert ("n" in event.metadata) == (number is not None)

    def test_a_group_that_took_no_part_is_left_out(self) -> None:
        assert one("b", regex="(?P<a>a)|(?P<b>b)", event_type="x").metadata == {"b": "b"}

    def test_text_that_is_not_ascii(self) -> None:
        event = one("größe=ü😀 x", regex="(?P<key>\\pL+)=(?P<value>\\S+)", event_type="x")

        assert event.metadata == {"key": "größe", "value": "ü😀"}

    def test_an_expression_that_would_take_others_forever(self) -> None:
        assert reading("a" * 100_000, regex="^(a+)+$b", event_type="x") is None

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            (
                {"regex": "(?P<a>[", "event_type": "x"},
                "bad regex: missing ]: [",
            ),
            (
                {"regex": "(?=a)", "event_type": "x"},
                "bad regex: invalid perl operator: (?= (RE2 has no look-around)",
            ),
            ({"regex": "a"}, "either event_type or a group (?P<event_type>...) is needed"),
            (
                {"regex": "(?P<size>a)", "event_type": "x", "numeric": ["sise"]},
                "the regex has no group 'sise'; its groups: size; did you mean 'size'?",
            ),
            (
                {"regex": "a", "event_type": "x", "timestamp": {"group": "ts"}},
                "the regex has no group 'ts'; its groups: none",
            ),
            (
                {
                    "regex": "(?P<timestamp>a)",
                    "event_type": "x",
                    "timestamp": {"format": "iso"},
                },
                "expected 'auto' or a format of strptime such as '%d/%b/%Y', found 'iso'",
            ),
            (
                {"regex": "(?P<timestamp>a)", "event_type": "x", "timestamp": {"format": "%Q"}},
                "not a format of strptime: 'Q' is a bad directive in format '%Y %Q'",
            ),
            (
                {
                    "regex": "(?P<timestamp>a)",
                    "event_type": "x",
                    "timestamp": {"format": "%H:%M:%S"},
                },
                "expected a format with month and day, found '%H:%M:%S'",
            ),
        ],
    )
    def test_mistakes_are_explained(
        self, pattern: dict[str, Any], expected: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert problem(**pattern) == f"Value error, {expected}"
        assert capfd.readouterr().err == ""

    def test_a_format_that_names_something_twice(self) -> None:
        message = problem(
            regex="(?P<timestamp>a)", event_type="x", timestamp={"format": "%Y %Y-%m-%d"}
        )

        assert message.startswith("Value error, not a format of strptime: ")


class TestEventsAsJson:
    def test_an_event_comes_back_as_it_was_written(self, ready: Ready) -> None:
        event = IncidentEvent(
            event_id="evt-1",
            timestamp=NOW,
            event_type="error",
            source="api",
            severity=IncidentSeverity.HIGH,
            message="it broke",
            metadata={"status": 502, "nested": {"a": [1, None]}},
            correlation_id="req-1",
        )

        (read,) = ready("jsonl").parse(event.model_dump_json(), number=0, origin="events.jsonl")

        assert read == event

    def test_what_is_missing_is_filled_in(self, ready: Ready) -> None:
        line = '{"timestamp": 1700000000, "event_type": "error", "shard": 7, "metadata": {"a": 1}}'

        (read,) = ready("jsonl").parse(line, number=4, origin="d/events.jsonl")

        assert read.event_id == "d/events.jsonl:4"
        assert read.source == "events.jsonl"
        assert read.severity is IncidentSeverity.LOW
        assert read.metadata == {"shard": 7, "a": 1}
        assert read.correlation_id is None

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{",
            "[]",
            '"text"',
            "{}",
            '{"event_type": "x"}',
            '{"timestamp": "2024-01-01T00:00:00Z"}',
            '{"timestamp": "never", "event_type": "x"}',
            '{"timestamp": "2024-02-30", "event_type": "x"}',
            '{"timestamp": 1, "event_type": "x", "metadata": {"a": "\\ud800"}}',
            '{"timestamp": 1, "event_type": "x", "a": ' + "[" * 900 + "]" * 900 + "}",
        ],
    )
    def test_what_is_no_event(self, line: str, ready: Ready) -> None:
        assert ready("jsonl").parse(line, number=0, origin="events.jsonl") == ()

    def test_long_and_odd_values_are_cut_to_what_an_event_holds(self, ready: Ready) -> None:
        line = json.dumps(
            {
                "event_id": "i" * 300,
                "timestamp": 1.5,
                "event_type": "t" * 300,
                "source": "s" * 300,
                "severity": 7,
                "message": "one\ntwo\x00" + "m" * 10_000,
                "correlation_id": "c" * 300,
            }
        )

        (read,) = ready("jsonl").parse(line, number=0, origin="events.jsonl")

        assert read.event_id == "events.jsonl:0"
        assert (read.event_type, read.source) == ("t" * 256, "s" * 256)
        assert read.correlation_id == "c" * 256
        assert read.message.startswith("one two\ufffdmm")
        assert len(read.message) == 8192
        IncidentEvent.model_validate(read.model_dump())


class TestObjectsOfOthers:
    def test_fields_are_found_by_key_and_by_way(self) -> None:
        line = json.dumps(
            {
                "@timestamp": "2024-05-06T07:08:09Z",
                "log": {"level": "ERROR"},
                "svc.name": "api",
                "msg": "it broke",
                "trace": {"id": 77},
                "status": 502,
            }
        )

        event = one(
            line,
            fields={
                "timestamp": "@timestamp",
                "severity": "log.level",
                "source": "svc.name",
                "message": "msg",
                "correlation_id": "trace.id",
            },
            event_type="app.log",
        )

        assert event.event_type == "app.log"
        assert event.timestamp == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
        assert event.severity is IncidentSeverity.HIGH
        assert (event.source, event.message, event.correlation_id) == ("api", "it broke", "77")
        assert event.metadata == {"log": {"level": "ERROR"}, "trace": {"id": 77}, "status": 502}

    def test_a_format_own_severities_and_a_source(self) -> None:
        event = one(
            '{"t": "06.05.2024 07:08", "kind": "job", "level": 50, "metadata": "text"}',
            fields={"timestamp": "t", "event_type": "kind", "severity": "level"},
            timestamp_format="%d.%m.%Y %H:%M",
            severities={"50": "high"},
            source="jobs",
        )

        assert event.timestamp == datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
        assert (event.event_type, event.source) == ("job", "jobs")
        assert event.severity is IncidentSeverity.HIGH

    def test_a_way_that_ends_early(self) -> None:
        fields = {"timestamp": "a.b.c"}

        assert reading('{"a": {"b": 1}}', fields=fields, event_type="x") is None
        assert reading('{"a": 1}', fields=fields, event_type="x") is None

    def test_a_type_has_to_come_from_somewhere(self) -> None:
        assert (
            problem(fields={"timestamp": "ts"})
            == "Value error, either event_type or fields.event_type is needed"
        )


def test_an_unknown_pattern_names_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"no pattern 'ssh'.*sshd.*did you mean 'sshd'"):
        LogsParams.model_validate({"files": ["x"], "pattern": "ssh"})


@pytest.mark.parametrize("pattern", [{}, {"event_type": "x"}, 7, None, ["sshd"]])
def test_what_describes_no_pattern(pattern: Any) -> None:
    with pytest.raises(ValidationError):
        LogsParams.model_validate({"files": ["x"], "pattern": pattern})
