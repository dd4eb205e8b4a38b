"""The words of the domain: what is accepted, and that it survives being stored."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, ValidationError

from tocsin import models
from tocsin.clock import EPOCH, from_micros, isoformat, to_micros
from tocsin.models import (
    ActionTaken,
    Cleared,
    Detection,
    Escalation,
    Incident,
    IncidentEvent,
    IncidentSeverity,
    IncidentStatus,
    IncidentType,
    Notice,
    Quarantined,
    TimelineEntry,
    component_of,
)
from tocsin.models.events import storable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "event_id": "e1",
    "timestamp": NOON,
    "event_type": "error",
    "source": "api",
}
LOW, MEDIUM, HIGH, CRITICAL = IncidentSeverity


def event(**fields: Any) -> IncidentEvent:
    return IncidentEvent.model_validate({**FIELDS, **fields})


def incident(**fields: Any) -> Incident:
    start: dict[str, Any] = {
        "id": "inc_1",
        "type": "error_burst",
        "severity": "high",
        "title": "trouble",
        "detected_at": NOON,
        "first_event_at": NOON - timedelta(seconds=90),
    }
    return Incident.model_validate({**start, **fields})


# -- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timestamp",
    [datetime(2026, 1, 1), "2026-01-01T00:00:00", "2026-01-01 00:00"],  # noqa: DTZ001
)
def test_a_naive_timestamp_is_refused(timestamp: Any) -> None:
    with pytest.raises(ValidationError, match="should have timezone info"):
        event(timestamp=timestamp)
    with pytest.raises(ValidationError, match="should have timezone info"):
        incident(resolved_at=timestamp)


def test_one_instant_is_written_in_one_way() -> None:
    paris = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert event(timestamp=paris).model_dump_json() == event().model_dump_json()
    assert '"2026-01-01T12:00:00Z"' in event().model_dump_json()
    assert isoformat(NOON.replace(microsecond=5)) == "2026-01-01T12:00:00.000005Z"


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=offsets,
)


@given(instants)
@settings(deadline=None)
def test_microseconds_since_1970_are_exact(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant
    assert from_micros(to_micros(instant)).tzinfo is UTC
    assert datetime.fromisoformat(isoformat(instant)) == instant


def test_microseconds_before_1970() -> None:
    assert to_micros(EPOCH - timedelta(microseconds=1)) == -1
    assert from_micros(-1) < EPOCH


@pytest.mark.parametrize(
    "timestamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00"]
)
def test_an_instant_that_utc_cannot_write_is_refused(timestamp: str) -> None:
    """It would be accepted, and then neither stored nor judged."""
    with pytest.raises(ValidationError):
        event(timestamp=timestamp)


# -- severities ----------------------------------------------------------------------------------


def test_severities_are_ordered() -> None:
    assert sorted([CRITICAL, LOW, HIGH, MEDIUM]) == [LOW, MEDIUM, HIGH, CRITICAL]
    assert [severity.rank for severity in IncidentSeverity] == [1, 2, 3, 4]
    assert max("high", "low", key=IncidentSeverity) == "high"
    for low in IncidentSeverity:
        for high in IncidentSeverity:
            assert (low < high, low <= high) == (low.rank < high.rank, low.rank <= high.rank)
            assert (low > high, low >= high) == (low.rank > high.rank, low.rank >= high.rank)
    # As text, `critical` would come before `high`.
    assert CRITICAL > "high"
    assert CRITICAL == "critical"
    with pytest.raises(ValueError, match="'worst'"):
        _ = LOW < "worst"


def test_statuses_that_still_need_somebody() -> None:
    over = {status for status in IncidentStatus if not status.active}
    assert over == {IncidentStatus.RESOLVED, IncidentStatus.CLOSED}
    assert incident().active
    assert not incident(status="closed").active


def test_built_in_types_are_names() -> None:
    assert len(set(IncidentType)) == 16
    assert all(kind == kind.name.lower() for kind in IncidentType)


# -- what is refused -----------------------------------------------------------------------------

EXAMPLES: list[BaseModel] = [
    event(metadata={"a": [1, None, {"b": True}]}, correlation_id="c"),
    incident(timeline=[TimelineEntry(at=NOON, kind="note", source="me", text="x")]),
    TimelineEntry(at=NOON, kind="note", source="me", text="x", data={"a": [1]}),
    ActionTaken(name="restart", at=NOON, by="me", succeeded=True),
    Detection(
        rule_id="r",
        detection_id="d",
        detected_at=NOON,
        severity=HIGH,
        incident_type="error_burst",
        title="t",
        group={"a": None, "b": 1, "c": True, "d": 1.5},
        values={"count": 3},
        first_event_at=NOON,
    ),
    Escalation(rule_id="r", detection_id="d", at=NOON, severity=HIGH, event_id="e"),
    Cleared(rule_id="r", detection_id="d", at=NOON),
    Quarantined(event_id="e", at=NOON, reason="x"),
    Notice(
        notice_id="n",
        incident_id="i",
        change="opened",
        at=NOON,
        severity=LOW,
        status=IncidentStatus.DETECTED,
        incident_type="deadlock",
        title="t",
        text="x",
    ),
]


def test_there_is_an_example_of_every_model() -> None:
    every = {
        model
        for name in models.__all__
        if isinstance(model := getattr(models, name), type) and issubclass(model, BaseModel)
    }
    assert {type(example) for example in EXAMPLES} == every


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
class TestEveryModel:
    def test_refuses_fields_that_it_does_not_know(self, example: BaseModel) -> None:
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            type(example).model_validate({**dict(example), "severty": "high"})

    def test_cannot_be_changed(self, example: BaseModel) -> None:
        name = next(iter(type(example).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(example, name, "x")

    def test_reads_back_as_it_was_written(self, example: BaseModel) -> None:
        written = example.model_dump_json()
        read = type(example).model_validate_json(written)
        assert read == example
        assert read.model_dump_json() == written
        assert orjson.loads(orjson.dumps(example.model_dump(mode="json"))) == json.loads(written)


@pytest.mark.parametrize("name", ["event_id", "event_type", "source"])
@pytest.mark.parametrize("value", ["", "x" * 257, None, 5])
def test_names_have_a_bounded_length(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        event(**{name: value})


@pytest.mark.parametrize(
    "metadata", [None, [], {1: 2}, {"a": b"x"}, {"a": {1, 2}}, {"a": NOON}, {"a": 1j}], ids=repr
)
def test_metadata_is_json(metadata: Any) -> None:
    with pytest.raises(ValidationError):
        event(metadata=metadata)


@pytest.mark.parametrize(
    ("metadata", "component"),
    [
        ({}, "api"),
        ({"component": "db"}, "db"),
        ({"component": ""}, "api"),
        ({"component": None}, "api"),
        ({"component": 5}, "api"),
        ({"component": ["db"]}, "api"),
    ],
)
def test_the_component_of_an_event(metadata: Any, component: str) -> None:
    assert component_of(event(metadata=metadata)) == component


# -- incidents -----------------------------------------------------------------------------------


def test_the_three_durations() -> None:
    one = incident()
    assert (one.mttd(), one.mtta(), one.mttr()) == (timedelta(seconds=90), None, None)
    later = one.model_copy(
        update={
            "acknowledged_at": NOON + timedelta(minutes=5),
            "resolved_at": NOON + timedelta(hours=2),
        }
    )
    assert (later.mtta(), later.mttr()) == (timedelta(minutes=5), timedelta(hours=2))


def test_an_incident_as_a_dictionary() -> None:
    one = incident(
        events=[event(metadata={"a": 1})],
        acknowledged_at=NOON,
        resolved_at=NOON + timedelta(seconds=1.5),
        timeline=[TimelineEntry(at=NOON, kind="note", source="me", text="x", data={"a": [1]})],
        root_cause={"component": "db"},
    )
    found = one.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["mttd_seconds"], found["mtta_seconds"], found["mttr_seconds"]) == (90, 0, 1.5)
    assert (found["severity"], found["detected_at"]) == ("high", "2026-01-01T12:00:00Z")
    assert found["events"][0]["metadata"] == {"a": 1}
    assert incident().to_dict()["mttr_seconds"] is None


# -- events that can be stored -------------------------------------------------------------------

odd_text = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\ufffd"), max_size=6)
odd_json: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((2**63, 2**63 - 1, -(2**63), -(2**64), 10**308, 10**309, -(10**400)))
    | st.floats()
    | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=8,
)


@given(odd_text, st.dictionaries(odd_text, odd_json, max_size=4), st.sampled_from(IncidentSeverity))
@settings(deadline=None)
def test_what_is_stored_reads_back_equal(
    message: str, metadata: dict[str, JsonValue], severity: IncidentSeverity
) -> None:
    """Otherwise a rule could say another thing after a crash than it did before."""
    kept = storable(event(message=message, metadata=metadata, severity=severity))
    assert storable(kept) == kept
    written = orjson.dumps(kept.model_dump(mode="json"))
    assert IncidentEvent.model_validate(orjson.loads(written)) == kept
    assert IncidentEvent.model_validate_json(kept.model_dump_json()) == kept


def test_what_storing_changes() -> None:
    metadata: dict[str, Any] = {"a\ud800": ["\udfff!", 2**63, -(10**400), 2**63 - 1, True]}
    kept = storable(event(message="\ud800", metadata=metadata))
    assert kept.message == "\ufffd"
    assert kept.metadata == {"a\ufffd": ["\ufffd!", float(2**63), None, 2**63 - 1, True]}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_write_become_missing(number: float) -> None:
    """That is what rules take them for, and what would be read back."""
    kept = storable(event(metadata={"a": number, "b": [number]}))
    assert kept.metadata == {"a": None, "b": [None]}


def test_what_needs_no_change_stays() -> None:
    one = event(message="日本", metadata={"a": {"b": [1, 1.5, None, "x"]}}, severity="high")
    assert storable(one) == one


class Kind(StrEnum):
    A = "a"


class Level(IntEnum):
    ONE = 1


class Metric(float):
    """As numpy's numbers are."""


@pytest.mark.parametrize("value", [Kind.A, Level.ONE, Metric(1.5)])
def test_values_of_derived_classes_become_plain(value: Any) -> None:
    """Rules tell values apart by their class, and what is read back is plain."""
    kept = storable(event(metadata={"a": value, "b": [{"c": value}]})).metadata
    read = json.loads(json.dumps(value))
    for found in (kept["a"], kept["b"][0]["c"]):
        assert found == read
        assert type(found) is type(read)


def test_what_the_host_changes_later_does_not_change_an_event() -> None:
    metadata: dict[str, Any] = {"a": {"b": [1]}}
    kept = storable(event(metadata=metadata))
    metadata["a"]["b"].append(2)
    assert kept.metadata == {"a": {"b": [1]}}
