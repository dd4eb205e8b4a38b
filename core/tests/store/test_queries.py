"""Reading what is stored, by everything that people ask for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from store.support import bare, event, micros, open_journal, opening, outcome
from tocsin.clock import from_micros
from tocsin.models import Incident, IncidentSeverity, IncidentStatus, Quarantined
from tocsin.store.database import Database
from tocsin.store.queries import (
    IncidentFilter,
    active_incidents,
    find_incidents,
    get_detections,
    get_incident,
    last_events,
    list_incidents,
    quarantined_events,
    store_rule_changes,
    stored_rule_changes,
    stream_status,
)
from tocsin.store.results import Checkpoint, IncidentWrite, Outcome, Results

S = IncidentStatus
START = from_micros(micros(0))


def made(number: int) -> tuple[str, Incident]:
    """Make one of many incidents that differ in everything that can be asked for."""
    severities, statuses = list(IncidentSeverity), list(IncidentStatus)
    write = opening(
        number,
        10 * (number // 2),  # two at each instant
        severity=severities[number % 4],
        incident_type=("error_burst", "deadlock", "shop.odd")[number % 3],
        components=(f"c{number % 5}", "all"),
    )
    status = statuses[number % 8]
    moved = write.incident.model_copy(update={"status": status, f"{status}_at": START})
    return ("main", "other")[number % 7 == 0], moved


@pytest_asyncio.fixture
async def stored(database: Database) -> list[tuple[str, Incident]]:
    """Store forty incidents; gives each with its stream."""
    incidents = [made(number) for number in range(40)]
    for stream, incident in incidents:
        write = IncidentWrite(incident, {"keys": [], "on": [], "shown": 0}, opened=True)
        await Results(database, stream).store_incidents([write])
    return incidents


def expected(stored: Sequence[tuple[str, Incident]], wanted: IncidentFilter) -> list[Incident]:
    """Choose as the query should, one by one."""

    def fits(stream: str, incident: Incident) -> bool:
        statuses = wanted.statuses
        return (
            (
                not statuses
                or incident.status in statuses
                or ("active" in statuses and incident.active)
            )
            and (wanted.severity is None or incident.severity == wanted.severity)
            and (wanted.min_severity is None or incident.severity >= wanted.min_severity)
            and (wanted.type is None or incident.type == wanted.type)
            and (wanted.component is None or wanted.component in incident.affected_components)
            and (wanted.since is None or incident.detected_at >= wanted.since)
            and (wanted.stream is None or stream == wanted.stream)
        )

    found = [bare(incident) for stream, incident in stored if fits(stream, incident)]
    found.sort(key=lambda incident: incident.id)
    found.sort(key=lambda incident: incident.detected_at, reverse=True)
    return found[: wanted.limit]


CHOICES: dict[str, Sequence[Any]] = {
    "statuses": [("active",), ("resolved", "closed"), ("active", "closed"), ("detected",)],
    "severity": list(IncidentSeverity),
    "min_severity": list(IncidentSeverity),
    "type": ["error_burst", "deadlock", "shop.odd", "none"],
    "component": ["c1", "all", "none", "c%"],
    "since": [START, START + timedelta(seconds=100), START + timedelta(days=1)],
    "limit": [0, 1, 7, 1000],
    "stream": ["main", "other", "none"],
}


async def test_everything_newest_first(
    database: Database, stored: list[tuple[str, Incident]]
) -> None:
    assert await list_incidents(database, IncidentFilter()) == expected(stored, IncidentFilter())


async def test_every_filter_alone_and_in_pairs(
    database: Database, stored: list[tuple[str, Incident]]
) -> None:
    singles = [{name: value} for name, values in CHOICES.items() for value in values]
    pairs = [
        {one: CHOICES[one][0], other: value}
        for one, other in itertools.permutations(CHOICES, 2)
        for value in CHOICES[other][:2]
    ]
    for choice in (*singles, *pairs):
        wanted = IncidentFilter(**choice)
        assert await list_incidents(database, wanted) == expected(stored, wanted), choice


async def test_the_active_ones_of_a_stream_oldest_first(
    database: Database, stored: list[tuple[str, Incident]]
) -> None:
    found = await active_incidents(database, "main")
    mine = [incident for stream, incident in stored if stream == "main" and incident.active]
    assert [i for i, _ in found] == sorted(map(bare, mine), key=lambda i: (i.detected_at, i.id))


async def test_the_beginning_of_an_id_is_enough(database: Database) -> None:
    results = Results(database, "main")
    ids = ["inc_1a", "inc_1b", "inc_2a", "incx2a", "inc%2a", "inc\\2a"]
    for number, incident_id in enumerate(ids):
        write = opening(number)
        incident = write.incident.model_copy(update={"id": incident_id})
        await results.store_incidents([IncidentWrite(incident, {}, opened=True)])
    for start in ["inc", "inc_", "inc_1", "inc_1b", "inc%", "inc\\", "", "no"]:
        found = await find_incidents(database, start)
        assert sorted(found) == sorted(i for i in ids if i.startswith(start)), start


async def test_there_is_no_such_incident(database: Database) -> None:
    assert await get_incident(database, "inc_none") is None
    assert await get_detections(database, "main", ["det_none"]) == {}


@pytest.mark.parametrize("count", [0, 1, 3, 7, 100])
async def test_the_last_events(database: Database, count: int) -> None:
    journal = await open_journal(database)
    names = "abcdefg"
    for part in ("abc", "d", "", "efg"):
        events = [event(name, ord(name)) for name in part]
        await journal.append(events, accepted_at=micros(0), advance_to=None if part else micros(9))
    found = await last_events(database, "main", count)
    assert "".join(one.event_id for one in found) == (names[-count:] if count else "")
    assert await last_events(database, "other", count) == []


async def test_the_last_events_of_many_blocks(database: Database) -> None:
    journal = await open_journal(database)
    for number in range(120):
        await journal.append([event(number)], accepted_at=micros(0))
    found = await last_events(database, "main", 110)
    assert [one.event_id for one in found] == [str(number) for number in range(10, 120)]


async def test_how_the_streams_stand(database: Database) -> None:
    one = await open_journal(database, "one")
    await open_journal(database, "two")
    for name in "abc":
        await one.append([event(name, 7)], accepted_at=micros(8))
    results = Results(database, "one")
    await results.checkpoint()
    await results.store(Outcome(Checkpoint(2, micros(7), {"x": [1]})), at=micros(9))
    nothing: dict[str, Any] = {"evaluated": 0, "now": None, "updated_at": None, "statistics": {}}
    assert await stream_status(database) == [
        {
            "stream": "one",
            "accepted": 3,
            "evaluated": 2,
            "now": from_micros(micros(7)),
            "updated_at": from_micros(micros(9)),
            "statistics": {"x": [1]},
        },
        {"stream": "two", "accepted": 0, **nothing},
    ]


async def test_the_newest_quarantined_events(database: Database) -> None:
    results = Results(database, "main")
    await results.checkpoint()
    for number in range(5):
        entry = Quarantined(event_id=str(number), at=from_micros(micros(number)), reason="r")
        await results.store(outcome(number, quarantined=[(entry, event(number))]), at=micros(0))
    found = await quarantined_events(database, "main", 2)
    assert [entry["event_id"] for entry in found] == ["4", "3"]


async def test_changes_to_rules(database: Database) -> None:
    at = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    assert await stored_rule_changes(database) == {}
    await store_rule_changes(database, {"a": {"enabled": False}, "b": {"threshold": 3}}, at=at)
    await store_rule_changes(database, {"a": {"within": "5m"}}, at=at)
    assert await stored_rule_changes(database) == {"a": {"within": "5m"}, "b": {"threshold": 3}}
    await store_rule_changes(database, {"b": {}, "c": {}}, at=at)
    assert await stored_rule_changes(database) == {"a": {"within": "5m"}}
