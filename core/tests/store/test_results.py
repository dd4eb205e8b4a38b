"""What evaluation leads to is stored with its checkpoint, or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from store.support import (
    changed,
    contents,
    detection,
    event,
    micros,
    opening,
    outcome,
)
from tocsin.clock import from_micros
from tocsin.errors import StoreError
from tocsin.models import IncidentStatus, Quarantined, TimelineEntry
from tocsin.store.database import Database
from tocsin.store.queries import (
    IncidentFilter,
    active_incidents,
    get_detections,
    get_incident,
    list_incidents,
    quarantined_events,
    stream_status,
)
from tocsin.store.results import Checkpoint, IncidentWrite, Outcome, Results

HASHES = {"r0": "h0", "r1": "h1"}


async def begun(database: Database, stream: str = "main") -> Results:
    results = Results(database, stream)
    await results.checkpoint()
    return results


def at(seconds: float) -> datetime:
    return from_micros(micros(seconds))


# -- checkpoint ------------------------------------------------------------------------------------


async def test_there_is_no_checkpoint_at_first(database: Database) -> None:
    assert await Results(database, "main").checkpoint() is None


async def test_the_checkpoint_is_the_last_one_stored(database: Database) -> None:
    results = await begun(database)
    for position in (0, 3, 3, 7):
        statistics = {"position": position, "odd": "\x00"}
        stored = Outcome(Checkpoint(position, micros(position), statistics))
        await results.store(stored, at=micros(9))
        assert await Results(database, "main").checkpoint() == stored.checkpoint
    assert await Results(database, "other").checkpoint() is None


async def test_an_unknown_time_is_kept_unknown(database: Database) -> None:
    results = await begun(database)
    await results.store(outcome(1, now=None), at=micros(0))
    assert await Results(database, "main").checkpoint() == Checkpoint(1, None)


async def test_what_the_checkpoint_says_is_shown_with_the_stream(database: Database) -> None:
    results = await begun(database)
    await results.store(Outcome(Checkpoint(4, micros(1), {"a": 1})), at=micros(2))
    # No journal was opened: a stream is what events came into.
    assert await stream_status(database) == []


# -- all or nothing --------------------------------------------------------------------------------


async def test_an_outcome_is_stored_whole(database: Database) -> None:
    results = await begun(database)
    write = opening("a")
    quarantined = Quarantined(event_id="q", at=at(1), reason="why")
    stored = outcome(
        5,
        write,
        now=micros(1),
        firings={"r0": {'["x"]': {"on": True}}},
        rule_hashes=HASHES,
        quarantined=[(quarantined, event("q", 1))],
        detectors={"parity": b"\x00\xff"},
    )
    await results.store(stored, at=micros(2))
    found = await get_incident(database, write.incident.id)
    assert found == write.incident.model_copy(
        update={"timeline": write.story, "events": write.events}
    )
    (told,) = write.detections
    assert await get_detections(database, "main", [told.detection_id]) == {told.detection_id: told}
    assert await results.firings(HASHES) == {"r0": {'["x"]': {"on": True}}}
    assert await results.detectors() == {"parity": b"\x00\xff"}
    ((entry),) = await quarantined_events(database, "main", 10)
    assert (entry["event_id"], entry["at"], entry["reason"]) == ("q", at(1), "why")
    assert entry["event"]["event_id"] == "q"
    assert await active_incidents(database, "main") == [
        (write.incident, {"keys": [["r0", ""]], "on": [["r0", ""]], "shown": 1, "latest": "det_a"})
    ]


async def test_what_fails_in_the_middle_leaves_nothing(database: Database, store_url: str) -> None:
    results = await begun(database)
    await results.store(outcome(1, opening("a")), at=micros(0))
    before = contents(store_url)
    doubled = outcome(
        2,
        opening("b"),
        opening("a"),  # is there already: the database refuses it
        firings={"r0": {"[]": {"on": True}}},
        rule_hashes=HASHES,
        detectors={"parity": b"1"},
    )
    with pytest.raises(StoreError):
        await results.store(doubled, at=micros(1))
    assert contents(store_url) == before
    assert not results.lost
    # It goes on as if the attempt had not been made.
    await results.store(outcome(2, opening("b")), at=micros(1))
    assert len(await list_incidents(database, IncidentFilter())) == 2


async def test_changes_by_people_are_stored_whole_or_not(database: Database) -> None:
    results = await begun(database)
    write = opening("a")
    await results.store_incidents([write])
    moved = changed(write, status=IncidentStatus.ASSESSING, assessing_at=at(3))
    with pytest.raises(StoreError):
        await results.store_incidents([moved, opening("a")])
    assert (await get_incident(database, write.incident.id)) is not None
    (now,) = await list_incidents(database, IncidentFilter())
    assert now.status is IncidentStatus.DETECTED
    await results.store_incidents([moved])
    (now,) = await list_incidents(database, IncidentFilter())
    assert (now.status, now.assessing_at) == (IncidentStatus.ASSESSING, at(3))


# -- ownership -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
async def test_the_second_who_moves_the_checkpoint_is_refused(
    database: Database, fresh: bool
) -> None:
    if not fresh:
        await (await begun(database)).store(outcome(1), at=micros(0))
    one, two = await begun(database), await begun(database)
    await one.store(outcome(3, opening("a")), at=micros(1))
    with pytest.raises(StoreError, match="another process has evaluated stream 'main' meanwhile"):
        await two.store(outcome(3, opening("b")), at=micros(1))
    assert (one.lost, two.lost) == (False, True)
    assert await Results(database, "main").checkpoint() == Checkpoint(3, None)
    assert len(await list_incidents(database, IncidentFilter())) == 1


async def test_another_stream_is_another_checkpoint(database: Database) -> None:
    one, two = await begun(database, "one"), await begun(database, "two")
    await one.store(outcome(1), at=micros(0))
    await two.store(outcome(2), at=micros(0))
    await one.store(outcome(3), at=micros(0))
    assert await Results(database, "two").checkpoint() == Checkpoint(2, None)


# -- firings ---------------------------------------------------------------------------------------


async def test_firings_are_kept_changed_and_deleted(database: Database) -> None:
    results = await begun(database)
    odd = '["\\u0000\\"%_x' + "y" * 5000 + '"]'
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"r0": {"[1]": {"n": 1}, odd: {"n": 2}}}, {"r0": {"[1]": {"n": 1}, odd: {"n": 2}}}),
        (
            {"r0": {"[1]": {"n": 3}}, "r1": {"[1]": {"n": "\x00"}}},
            {"r0": {"[1]": {"n": 3}, odd: {"n": 2}}, "r1": {"[1]": {"n": "\x00"}}},
        ),
        ({"r0": {"[1]": None, odd: None, "[9]": None}}, {"r1": {"[1]": {"n": "\x00"}}}),
        ({"r0": {"[1]": {"n": 4}}}, {"r0": {"[1]": {"n": 4}}, "r1": {"[1]": {"n": "\x00"}}}),
    ]
    for position, (firings, expected) in enumerate(steps):
        await results.store(
            outcome(position, firings=firings, rule_hashes=HASHES), at=micros(position)
        )
        assert await Results(database, "main").firings(HASHES) == expected
    assert await Results(database, "other").firings(HASHES) == {}


async def test_firings_of_a_rule_that_changed_are_left_out(database: Database) -> None:
    results = await begun(database)
    firings = {"r0": {"[]": {"n": 1}}, "r1": {"[]": {"n": 1}}}
    await results.store(outcome(1, firings=firings, rule_hashes=HASHES), at=micros(0))
    assert list(await results.firings({"r0": "other", "r1": "h1", "r2": "h2"})) == ["r1"]
    # The changed rule's own firing takes the old one's place.
    again = outcome(2, firings={"r0": {"[]": {"n": 2}}}, rule_hashes={"r0": "other"})
    await results.store(again, at=micros(0))
    assert await results.firings({"r0": "other"}) == {"r0": {"[]": {"n": 2}}}


async def test_states_of_detectors_are_replaced(database: Database) -> None:
    results = await begun(database)
    await results.store(outcome(1, detectors={"a": b"1", "b": b""}), at=micros(0))
    await results.store(outcome(2, detectors={"a": b"2"}), at=micros(0))
    assert await results.detectors() == {"a": b"2", "b": b""}


# -- incidents -------------------------------------------------------------------------------------


async def test_the_story_goes_on_in_order(database: Database) -> None:
    results = await begun(database)
    write = opening("a", 10)
    await results.store(outcome(1, write), at=micros(0))
    entries = [
        TimelineEntry(at=at(10), kind="note", source="x", text=str(number)) for number in range(12)
    ]
    for number, entry in enumerate(entries):
        told = IncidentWrite(write.incident, write.tracking, story=(entry,))
        await results.store(outcome(number + 2, told), at=micros(0))
    found = await get_incident(database, write.incident.id)
    assert found is not None
    assert found.timeline == (*write.story, *entries)


async def test_the_same_event_is_shown_once(database: Database) -> None:
    results = await begun(database)
    write = opening("a")
    await results.store_incidents([write])
    again = IncidentWrite(write.incident, write.tracking, events=(*write.events, event("new", 5)))
    await results.store_incidents([again])
    found = await get_incident(database, write.incident.id)
    assert found is not None
    assert [one.event_id for one in found.events] == ["ea", "new"]


async def test_components_that_join_can_be_asked_for(database: Database) -> None:
    results = await begun(database)
    write = opening("a", components=("api",))
    await results.store_incidents([write])
    both = write.incident.model_copy(update={"affected_components": ("api", "db")})
    joined = IncidentWrite(both, write.tracking, detections=(detection("b", 1),))
    await results.store_incidents([joined])
    for component in ("api", "db"):
        assert await list_incidents(database, IncidentFilter(component=component)) == [both]


async def test_detections_are_known_to_their_stream_alone(database: Database) -> None:
    results = await begun(database)
    write = opening("a", 10)
    await results.store_incidents([write])
    (told,) = write.detections
    assert await results.known([told.detection_id, "det_none"]) == {told.detection_id}
    assert await Results(database, "other").known([told.detection_id]) == set()
    assert await get_detections(database, "other", [told.detection_id]) == {}


async def test_an_event_is_quarantined_once(database: Database) -> None:
    results = await begun(database)
    for number, reason in enumerate(("first", "second")):
        quarantined = Quarantined(event_id="q", at=at(1), reason=reason)
        await results.store(outcome(number, quarantined=[(quarantined, None)]), at=micros(0))
    (entry,) = await quarantined_events(database, "main", 10)
    assert (entry["reason"], entry["event"]) == ("first", {})
    assert await quarantined_events(database, "other", 10) == []


# -- characters that PostgreSQL does not have ------------------------------------------------------

NUL = "a\x00b"
MENDED = "a\ufffdb"


async def test_nul_characters_everywhere(database: Database) -> None:
    """What stands in JSON keeps them; in columns of text they become U+FFFD."""
    results = await begun(database)
    write = opening(NUL, title=NUL, components=(NUL,), correlation_ids=(NUL,), group={NUL: NUL})
    shown = event(NUL, source=NUL, message=NUL, correlation_id=NUL, metadata={NUL: NUL})
    note = TimelineEntry(at=at(2), kind="note", source=NUL, text=NUL, data={NUL: NUL})
    incident = write.incident.model_copy(
        update={"description": NUL, "assignee": NUL, "acknowledged_by": NUL, "post_mortem": NUL}
    )
    plain = write.detections[0].model_copy(update={"detection_id": "det_x", "event_ids": (NUL,)})
    whole = IncidentWrite(
        incident, write.tracking, opened=True, story=(note,), detections=(plain,), events=(shown,)
    )
    quarantined = Quarantined(event_id=NUL, at=at(1), reason="why")
    await results.store(outcome(1, whole, quarantined=[(quarantined, shown)]), at=micros(0))
    mended = note.model_copy(update={"source": MENDED, "text": MENDED})
    expected = incident.model_copy(update={"timeline": (mended,), "events": (shown,)})
    assert await get_incident(database, incident.id) == expected
    assert await get_detections(database, "main", ["det_x"]) == {"det_x": plain}
    (entry,) = await quarantined_events(database, "main", 10)
    assert (entry["event_id"], entry["event"]["event_id"]) == (MENDED, NUL)


async def test_a_component_with_a_nul_character_is_found(database: Database) -> None:
    results = await begun(database)
    await results.store_incidents([opening("a", components=(NUL,))])
    assert len(await list_incidents(database, IncidentFilter(component=MENDED))) == 1


async def test_a_story_with_a_surrogate(database: Database) -> None:
    results = await begun(database)
    note = TimelineEntry(at=at(2), kind="note", source="x", text="a\ud800b")
    write = opening("a")
    await results.store_incidents([write, IncidentWrite(write.incident, {}, story=(note,))])
    found = await get_incident(database, write.incident.id)
    assert found is not None
    assert found.timeline[-1].text == MENDED
