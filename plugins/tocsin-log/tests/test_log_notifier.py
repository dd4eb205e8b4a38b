"""The notifier `log`: one line per notice, at the right level, whatever the notice holds."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tocsin.models import IncidentSeverity, IncidentStatus, Notice
from tocsin_log import LOGGER, LogNotifier, LogParams
from tocsin_log.lines import json_line, text_line
from tocsin_log.plugin import tocsin_notifiers


def a_notice(**changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "notice_id": "n-1",
        "incident_id": "i-1",
        "change": "opened",
        "at": datetime(2025, 3, 1, 12, tzinfo=UTC),
        "severity": IncidentSeverity.HIGH,
        "status": IncidentStatus.DETECTED,
        "incident_type": "error_burst",
        "title": "10 errors from api",
        "text": "10 errors from api within 5m",
        "components": ("api", "database"),
    }
    return Notice(**fields | changes)


def test_json_line_holds_every_field() -> None:
    line = json_line(a_notice())

    assert json.loads(line) == {
        "notice_id": "n-1",
        "incident_id": "i-1",
        "change": "opened",
        "at": "2025-03-01T12:00:00Z",
        "severity": "high",
        "status": "detected",
        "incident_type": "error_burst",
        "title": "10 errors from api",
        "text": "10 errors from api within 5m",
        "components": ["api", "database"],
    }


def test_text_line_quotes_only_what_needs_it() -> None:
    line = text_line(a_notice(text="fine"))

    assert line == (
        "notice_id=n-1 incident_id=i-1 change=opened at=2025-03-01T12:00:00Z severity=high"
        ' status=detected incident_type=error_burst title="10 errors from api" text=fine'
        " components=api,database"
    )


def test_text_line_keeps_a_comma_inside_a_component_apart_from_two_components() -> None:
    assert text_line(a_notice(components=("a,b",))).endswith(' components=["a,b"]')
    assert text_line(a_notice(components=())).endswith(" components=[]")


HOSTILE = 'x\nseverity=low\r\u0085\u2028\u2029\x1b[2J\x9b\x00"\\ \u202e\ud800 é'


@pytest.mark.parametrize("write", [json_line, text_line])
def test_hostile_text_stays_in_its_line(write: Any) -> None:
    line = write(a_notice(title=HOSTILE, components=(HOSTILE,)))

    assert len(line.splitlines()) == 1
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in line)
    assert "\u202e" not in line
    assert "é" in line


@given(title=st.text(), component=st.text())
def test_json_line_says_what_the_notice_says(title: str, component: str) -> None:
    line = json_line(a_notice(title=title, components=(component,)))

    assert len(line.splitlines()) == 1
    assert json.loads(line)["title"] == title
    assert json.loads(line)["components"] == [component]


@given(title=st.text(), text=st.text())
def test_text_line_can_be_read_back(title: str, text: str) -> None:
    line = text_line(a_notice(title=title, text=text))

    assert len(line.splitlines()) == 1
    decoder = json.JSONDecoder()
    start = line.index(" title=") + len(" title=")
    if line[start] == '"':
        found, end = decoder.raw_decode(line, start)
    else:
        end = line.index(" ", start)
        found = line[start:end]
    assert found == title
    assert line[end:].startswith(" text=")


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("low", logging.INFO),
        ("medium", logging.WARNING),
        ("high", logging.ERROR),
        ("critical", logging.CRITICAL),
    ],
)
def test_the_severity_sets_the_level(
    severity: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)

    LogNotifier(LogParams()).send(a_notice(severity=IncidentSeverity(severity)))

    (record,) = caplog.records
    assert record.name == LOGGER
    assert record.levelno == level
    assert json.loads(record.getMessage())["severity"] == severity


def test_a_percent_sign_is_not_a_format(caplog: pytest.LogCaptureFixture) -> None:
    LogNotifier(LogParams()).send(a_notice(title="disk at 95 %s %d"))

    assert json.loads(caplog.records[0].getMessage())["title"] == "disk at 95 %s %d"


def test_one_level_can_be_changed_alone(caplog: pytest.LogCaptureFixture) -> None:
    params = LogParams.model_validate({"level_by_severity": {"high": "WARNING"}, "format": "text"})

    LogNotifier(params).send(a_notice())
    LogNotifier(params).send(a_notice(severity=IncidentSeverity.CRITICAL))

    assert [record.levelname for record in caplog.records] == ["WARNING", "CRITICAL"]
    assert caplog.records[0].getMessage().startswith("notice_id=n-1 ")


def test_nothing_is_written_below_the_level_of_the_host(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, LOGGER)

    LogNotifier(LogParams()).send(a_notice(severity=IncidentSeverity.LOW))

    assert caplog.records == []


def test_logging_is_not_configured() -> None:
    logger = logging.getLogger(LOGGER)
    before = (logger.level, list(logger.handlers), logger.propagate)

    LogNotifier(LogParams()).send(a_notice())

    assert (logger.level, list(logger.handlers), logger.propagate) == before


@pytest.mark.parametrize(
    "wrong", [{"format": "xml"}, {"level_by_severity": {"high": "LOUD"}}, {"colour": "red"}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LogParams.model_validate(wrong)


def test_the_entry_point_leads_to_the_hook() -> None:
    (found,) = entry_points(group="tocsin", name="log")

    (offered,) = found.load().tocsin_notifiers()

    assert (offered.name, offered.params) == ("log", LogParams)
    assert [plugin.name for plugin in tocsin_notifiers()] == ["log"]
