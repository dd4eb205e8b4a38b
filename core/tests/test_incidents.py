"""The life of an incident: where it may go, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import TransitionError
from tocsin.incidents import (
    TRANSITIONS,
    acknowledge,
    clear,
    escalate,
    join,
    open_incident,
    reopen,
    transition,
)
from tocsin.models import (
    Cleared,
    Detection,
    Escalation,
    Incident,
    IncidentEvent,
    IncidentSeverity,
    IncidentStatus,
)

S = IncidentStatus
START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(minutes=5)

# From each status (a row) to each (a column), in the order of IncidentStatus.
TABLE = {
    #                D A C I R Y S X
    S.DETECTED: "    . + + + + + + .",
    S.ASSESSING: "   . . + + + + + .",
    S.CONTAINING: "  . . . + + + + .",
    S.INVESTIGATING: ". . + . + + + .",
    S.REMEDIATING: " . . . + . + + .",
    S.RECOVERING: "  . . . + + . + .",
    S.RESOLVED: "    . . . + . . . +",
    S.CLOSED: "      . . . + . . . .",
}
PAIRS = [
    pytest.param(one, other, mark == "+", id=f"{one}-{other}")
    for one, row in TABLE.items()
    for other, mark in zip(S, row.split(), strict=True)
]


def detection(name: object = "a", at: datetime = START, **fields: Any) -> Detection:
    values = {
        "detection_id": f"det_{name}",
        "rule_id": "errors",
        "detected_at": at,
        "first_event_at": at - timedelta(seconds=90),
        "severity": "medium",
        "incident_type": "error_burst",
        "title": "5 errors",
        "event_ids": ("e1", "e2"),
        "components": ("api",),
        "correlation_ids": ("c2",),
        "recommend": ("restart_service",),
        **fields,
    }
    return Detection.model_validate(values)


def event(name: str, **fields: Any) -> IncidentEvent:
    values = {"event_id": name, "timestamp": START, "event_type": "error", "source": "api"}
    return IncidentEvent.model_validate({**values, **fields})


def opened(**fields: Any) -> Incident:
    return open_incident(detection(**fields), ())[0]


def at_status(status: IncidentStatus) -> Incident:
    return opened().model_copy(update={"status": status, f"{status}_at": START})


# -- transitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other", "allowed"), PAIRS)
def test_where_an_incident_may_go(one: S, other: S, allowed: bool) -> None:
    incident = at_status(one)
    if not allowed:
        with pytest.raises(TransitionError) as caught:
            transition(incident, other, at=LATER, by="ann")
        names = ", ".join(status for status in S if status in TRANSITIONS[one])
        assert str(caught.value).startswith(f"an incident cannot go from {one} to {other}; allowed")
        assert sorted(str(caught.value).split("allowed: ")[1].split(", ")) == sorted(
            names.split(", ")
        )
        assert (caught.value.current, caught.value.wanted) == (one, other)
        return
    moved, story = transition(incident, other, at=LATER, by="ann", note="because")
    assert moved.status is other
    assert getattr(moved, f"{other}_at") == LATER
    (entry,) = story
    assert (entry.at, entry.source, entry.data) == (LATER, "ann", {"status": other.value})
    assert entry.text == f"{one} → {other}: because"
    assert entry.kind == ("reopened" if not one.active else "status") or other is S.CLOSED
    # The value that was given stays as it was.
    assert incident == at_status(one)


def test_the_table_is_the_code() -> None:
    assert {one: set(others) for one, others in TRANSITIONS.items()} == {
        one: {other for other, mark in zip(S, row.split(), strict=True) if mark == "+"}
        for one, row in TABLE.items()
    }


def test_a_message_for_people() -> None:
    with pytest.raises(TransitionError) as caught:
        transition(at_status(S.CLOSED), S.RESOLVED, at=LATER, by="ann")
    assert str(caught.value) == (
        "an incident cannot go from closed to resolved; allowed: investigating"
    )
    assert caught.value.allowed == ("investigating",)


def test_closing_needs_resolved_first() -> None:
    for status in S:
        if status is S.RESOLVED:
            closed, _ = transition(at_status(status), S.CLOSED, at=LATER, by="ann")
            assert (closed.closed_at, closed.active) == (LATER, False)
        else:
            with pytest.raises(TransitionError):
                transition(at_status(status), S.CLOSED, at=LATER, by="ann")


@pytest.mark.parametrize("status", [S.RESOLVED, S.CLOSED])
def test_reopening(status: S) -> None:
    ended = at_status(status).model_copy(update={"resolved_at": START})
    again, story = reopen(ended, at=LATER, by="ann", note="it came back")
    assert (again.status, again.investigating_at) == (S.INVESTIGATING, LATER)
    assert (again.resolved_at, again.closed_at, again.mttr()) == (None, None, None)
    assert [(entry.kind, entry.text) for entry in story] == [
        ("reopened", f"{status} → investigating: it came back")
    ]


@pytest.mark.parametrize("status", [status for status in S if status.active])
def test_what_is_active_cannot_be_reopened(status: S) -> None:
    with pytest.raises(TransitionError, match=f"cannot go from {status} to reopened"):
        reopen(at_status(status), at=LATER, by="ann")


@pytest.mark.parametrize(
    "change",
    [
        lambda at: transition(opened(), S.ASSESSING, at=at, by="ann"),
        lambda at: reopen(at_status(S.CLOSED), at=at, by="ann"),
        lambda at: acknowledge(opened(), at=at, by="ann"),
    ],
)
def test_an_instant_without_time_zone_is_refused(change: Any) -> None:
    with pytest.raises(ValueError, match="time zone, found 2026-01-01T00:00:00"):
        change(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_acknowledging_is_no_status_and_counts_once() -> None:
    incident = opened()
    taken, story = acknowledge(incident, at=LATER, by="ann")
    assert (taken.status, taken.acknowledged_by, taken.mtta()) == (
        S.DETECTED,
        "ann",
        timedelta(minutes=5),
    )
    assert [(entry.kind, entry.source) for entry in story] == [("acknowledged", "ann")]
    assert acknowledge(taken, at=LATER + timedelta(hours=1), by="bob") == (taken, ())


@given(st.lists(st.sampled_from([*S, "reopen", "acknowledge"]), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_walk(steps: list[Any]) -> None:
    """Whatever is tried: closed is left only by reopening, and times fit the status."""
    incident, at = opened(), START
    for step in steps:
        before, at = incident, at + timedelta(seconds=1)
        try:
            if step == "reopen":
                incident, story = reopen(incident, at=at, by="ann")
            elif step == "acknowledge":
                incident, story = acknowledge(incident, at=at, by="ann")
            else:
                incident, story = transition(incident, step, at=at, by="ann")
        except TransitionError:
            assert step not in TRANSITIONS[incident.status]
            continue
        if before.status is S.CLOSED and incident.status is not S.CLOSED:
            assert incident.status is S.INVESTIGATING
            assert [entry.kind for entry in story] == ["reopened"]
        assert incident.active == (incident.status not in (S.RESOLVED, S.CLOSED))
        assert (incident.resolved_at is None) == incident.active
        assert (incident.closed_at is None) == (incident.status is not S.CLOSED)
        if incident.status is not S.DETECTED:
            assert getattr(incident, f"{incident.status}_at") is not None
        # Nothing but the life changes.
        kept = {"title", "severity", "event_count", "id", "detected_at", "rule_id"}
        assert incident.model_dump(include=kept) == before.model_dump(include=kept)


# -- opening and joining ---------------------------------------------------------------------------


def test_opening() -> None:
    shown = (event("e1", message="boom"), event("e2", source="db"))
    incident, story = open_incident(detection(), shown)
    assert incident.model_dump(exclude_defaults=True, exclude={"id"}) == {
        "type": "error_burst",
        "severity": "medium",
        "title": "5 errors",
        "detected_at": START,
        "first_event_at": START - timedelta(seconds=90),
        "rule_id": "errors",
        "affected_components": ("api",),
        "event_count": 2,
        "detection_count": 1,
        "correlation_ids": ("c2",),
        "recommended_actions": ("restart_service",),
    }
    assert incident.mttd() == timedelta(seconds=90)
    assert [(entry.kind, entry.source, entry.text) for entry in story] == [
        ("event", "api", "boom"),
        ("event", "db", "error"),
        ("detection", "errors", "detected: 5 errors"),
    ]
    assert story[-1].data["after_first_event"] == "1m30s"


def test_the_id_follows_from_the_detection() -> None:
    one, again, other = opened(), opened(title="x", severity="low"), opened(name="b")
    assert one.id == again.id != other.id
    assert one.id.startswith("inc_")


def test_joining() -> None:
    incident = opened().model_copy(update={"cleared_at": START})
    more = detection(
        "b",
        LATER,
        first_event_at=START - timedelta(hours=1),
        severity="high",
        components=("db", "api"),
        correlation_ids=("c1",),
        recommend=("scale_up", "restart_service"),
    )
    joined, story = join(incident, more, (event("e3"),), new_events=7, reason="same rule and group")
    assert joined.model_dump(
        include={
            "severity",
            "first_event_at",
            "affected_components",
            "correlation_ids",
            "recommended_actions",
            "event_count",
            "detection_count",
            "cleared_at",
        }
    ) == {
        "severity": "high",
        "first_event_at": START - timedelta(hours=1),
        "affected_components": ("api", "db"),
        "correlation_ids": ("c1", "c2"),
        "recommended_actions": ("restart_service", "scale_up"),
        "event_count": 9,
        "detection_count": 2,
        "cleared_at": None,
    }
    # What it is called and when it was detected stays.
    assert (joined.id, joined.title, joined.detected_at) == (incident.id, "5 errors", START)
    assert [entry.kind for entry in story] == ["event", "detection", "escalation"]
    assert story[1].data["reason"] == "same rule and group"
    assert (story[2].text, story[2].at) == ("severity medium → high", LATER)


@pytest.mark.parametrize("severity", ["low", "medium"])
def test_joining_never_lowers_the_severity(severity: str) -> None:
    joined, story = join(opened(), detection("b", severity=severity), (), new_events=0, reason="")
    assert joined.severity is IncidentSeverity.MEDIUM
    assert [entry.kind for entry in story] == ["detection"]


@pytest.mark.parametrize("now", list(IncidentSeverity))
@pytest.mark.parametrize("to", list(IncidentSeverity))
def test_escalating_only_raises(now: IncidentSeverity, to: IncidentSeverity) -> None:
    incident = opened(severity=now)
    told = Escalation(
        rule_id="errors", detection_id="det_a", at=LATER, severity=to, event_id="e", values={}
    )
    changed, story = escalate(incident, told)
    if to.rank > now.rank:
        assert changed == incident.model_copy(update={"severity": to})
        assert [(e.kind, e.text, e.at) for e in story] == [
            ("escalation", f"severity {now} → {to}", LATER)
        ]
    else:
        assert (changed, story) == (incident, ())


@pytest.mark.parametrize("last", [True, False])
def test_a_condition_is_over(last: bool) -> None:
    incident = opened()
    cleared = Cleared(rule_id="errors", detection_id="det_a", at=LATER)
    changed, (entry,) = clear(incident, cleared, last=last)
    assert changed.cleared_at == (LATER if last else None)
    assert changed.status is S.DETECTED
    assert (entry.kind, entry.source, entry.at) == ("cleared", "errors", LATER)
    assert ("another still holds" in entry.text) is not last
