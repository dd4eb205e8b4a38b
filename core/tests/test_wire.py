"""Events read in bulk: what is accepted is what the model accepts, and reads the same."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.models import IncidentEvent
from tocsin.models.wire import as_model, decode_lines, decode_list

FIELDS: dict[str, Any] = {
    "event_id": "e1",
    "timestamp": "2026-01-01T12:00:00Z",
    "event_type": "error",
    "source": "api",
}


def raw(**fields: Any) -> bytes:
    return json.dumps({**FIELDS, **fields}).encode()


def assert_reads_the_same(body: bytes) -> None:
    """Check a body that the fast way accepts; the model may accept more."""
    try:
        (fast,) = decode_list(b"[" + body + b"]")
    except ValueError:
        return
    expected = IncidentEvent.model_validate_json(body)
    assert as_model(fast) == expected
    assert as_model(fast).model_dump_json() == expected.model_dump_json()


def test_a_plain_event() -> None:
    body = raw(severity="high", message="日本", metadata={"a": [1, 1.5, None]}, correlation_id="c")
    (fast,) = decode_list(b"[" + body + b"]")
    assert (fast.event_id, fast.severity.rank, fast.metadata) == ("e1", 3, {"a": [1, 1.5, None]})
    assert_reads_the_same(body)
    one = IncidentEvent.model_validate_json(body)
    assert as_model(one) is one


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-01T12:00:00.5Z",
        "2026-01-01T12:00:00.123456Z",
        "2026-01-01 12:00:00z",
        "2026-01-01T12:00:00+05:30",
        "2026-01-01T12:00:00-00:00",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_timestamps(timestamp: str) -> None:
    decode_list(b"[" + raw(timestamp=timestamp) + b"]")
    assert_reads_the_same(raw(timestamp=timestamp))


@pytest.mark.parametrize("digits", ["1234567", "123456500", "999999999"])
def test_instants_finer_than_a_microsecond_are_read_to_the_microsecond(digits: str) -> None:
    body = raw(timestamp=f"2026-01-01T12:00:00.{digits}Z")
    (fast,) = decode_list(b"[" + body + b"]")
    exact = IncidentEvent.model_validate_json(body)
    assert timedelta(0) <= fast.timestamp - exact.timestamp <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2026-01-01T12:00:00"},
        {"timestamp": "soon"},
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": None},
        {"event_id": ""},
        {"source": "x" * 257},
        {"event_type": 5},
        {"severity": "HIGH"},
        {"severity": None},
        {"metadata": None},
        {"metadata": []},
        {"correlation_id": "x" * 257},
        {"severty": "high"},
    ],
    ids=repr,
)
def test_what_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_list(b"[" + raw(**fields) + b"]")
    with pytest.raises(ValueError, match=r"."):
        decode_lines(raw() + b"\n" + raw(**fields))


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}", b"null", b"\xff", b'[{"event_id": "a"}]', b'["\\ud800"]', b"[NaN]"]
)
def test_what_is_no_list_of_events(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_list(body)


@pytest.mark.parametrize("depth", [10, 148, 149, 150, 180, 210, 300, 990, 5_000, 1_000_000])
def test_nesting_is_read_alike_or_refused(depth: int) -> None:
    """Also by what keeps it: an event that cannot be written again must not get in."""
    body = raw(metadata={"a": 1}).replace(b'"a": 1', b'"a": ' + b"[" * depth + b"]" * depth)
    assert_reads_the_same(body)
    try:
        events = decode_lines(body)
    except ValueError:
        return
    IncidentEvent.model_validate(dict(as_model(events[0])))


def test_lines() -> None:
    body = raw(event_id="a") + b"\n\n  \n" + raw(event_id="b") + b"\r\n" + raw(event_id="c")
    assert [event.event_id for event in decode_lines(body)] == ["a", "b", "c"]
    assert decode_lines(b"") == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 5e-324, -0.0))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
MEANT = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.text(max_size=4) | JSON,
        "severity": st.sampled_from(("low", "critical", "bad")) | JSON,
        "message": st.text() | JSON,
        "metadata": st.dictionaries(st.text(max_size=3), JSON, max_size=3),
        "correlation_id": st.none() | st.text(max_size=3),
    },
)


@given(MEANT)
@settings(deadline=None)
def test_any_json(fields: dict[str, Any]) -> None:
    assert_reads_the_same(raw(**fields))
