"""`check_for_incidents` and `get_statistics`: what they wait for and what they give."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from manager.support import START, Drive, clock_at, event, eventually, running, settings
from tocsin.errors import TocsinError
from tocsin.incidents import acknowledge
from tocsin.models import Incident, Signal
from tocsin.statistics import IncidentStatistics


async def test_those_opened_since_the_last_call_oldest_first(tmp_path: Path) -> None:
    async with running(settings(tmp_path, {"group_by": ["source"]})) as manager:
        for number in (3, 1, 2):
            await manager.submit_event(event(number, number, source=f"s{number}"))
        found = await manager.check_for_incidents()
        assert [i.group["source"] for i in found] == ["s3", "s1", "s2"]
        assert await manager.check_for_incidents() == []
        await manager.submit_event(event("again", 9, source="s1"))
        await manager.submit_event(event("new", 9, source="s9"))
        # What joins an incident opens none.
        assert [i.group["source"] for i in await manager.check_for_incidents()] == ["s9"]


async def test_they_are_whole(tmp_path: Path) -> None:
    rule = {
        "title": "{count} of {source}",
        "severity": "high",
        "group_by": ["source"],
        "window": {"count": {"gte": 2}, "within": "5m"},
        "recommend": ["restart_service"],
    }
    async with running(settings(tmp_path, rule)) as manager:
        first = event("a", 0, message="one", correlation_id="c")
        second = event("b", 30, message="two", metadata={"component": "db"})
        await manager.submit_events([first, second])
        (incident,) = await manager.check_for_incidents()
    assert incident.events == (first, second)
    assert incident.model_dump(
        include={"title", "severity", "status", "event_count", "group", "correlation_ids"}
    ) == {
        "title": "2 of api",
        "severity": "high",
        "status": "detected",
        "event_count": 2,
        "group": {"source": "api"},
        "correlation_ids": ("c",),
    }
    assert incident.affected_components == ("api", "db")
    assert incident.mttd() == timedelta(seconds=30)
    assert [(e.kind, e.text) for e in incident.timeline] == [
        ("event", "one"),
        ("event", "two"),
        ("detection", "detected: 2 of api"),
    ]


async def test_it_waits_for_all_that_was_submitted_before(tmp_path: Path) -> None:
    async with running(settings(tmp_path, {"group_by": ["source"]})) as manager:
        submitted = [
            asyncio.ensure_future(manager.submit_event(event(n, source=f"s{n}"))) for n in range(50)
        ]
        await asyncio.sleep(0)
        assert len(await manager.check_for_incidents()) == 50
        assert all(await asyncio.gather(*submitted))


async def test_several_who_ask_at_once_share_what_is_new(tmp_path: Path) -> None:
    async with running(settings(tmp_path, {"group_by": ["source"]})) as manager:
        await manager.submit_events([event(n, source=f"s{n}") for n in range(20)])
        found = await asyncio.gather(*(manager.check_for_incidents() for _ in range(4)))
        assert sorted(len(incidents) for incidents in found) == [0, 0, 0, 20]


async def test_what_was_not_evaluated_before_the_end_comes_after_the_start(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config) as manager:
        parts = manager._parts
        assert parts is not None
        await parts.evaluation.incidents.acquire()
        await manager.submit_event(event("a"))
        await manager.stop(0.1)
    async with running(config) as manager:
        assert len(await manager.check_for_incidents()) == 1
    async with running(config) as manager:
        assert await manager.check_for_incidents() == []


async def test_with_nothing_submitted(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        assert await manager.check_for_incidents() == []


async def test_time_alone_clears(tmp_path: Path) -> None:
    clock = clock_at(10)
    config = settings(tmp_path, {"resolve_after": "1m"}, idle_after="1s")
    async with running(config, clock=clock) as manager:
        await manager.submit_event(event("a", 10))
        (incident,) = await manager.check_for_incidents()

        async def cleared() -> None:
            while (await manager.get_incident(incident.id)).cleared_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        await Drive(clock, 5).until_done(cleared())
        found = await manager.get_incident(incident.id)
    assert found.cleared_at == START + timedelta(seconds=70)
    assert found.active
    assert found.timeline[-1].kind == "cleared"


async def test_an_incident_that_does_not_exist(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        with pytest.raises(LookupError, match="no incident 'inc_none'"):
            await manager.get_incident("inc_none")
        with pytest.raises(LookupError, match="no incident 'inc_none'"):
            await manager.process_incident("inc_none")


# -- statistics ------------------------------------------------------------------------------------


async def test_statistics(tmp_path: Path) -> None:
    rules = (
        {"group_by": ["source"], "window": {"count": {"gte": 2}, "within": "5m"}},
        {"when": {"event_type": "full"}, "incident_type": "disk_space_low", "severity": "high"},
    )
    async with running(settings(tmp_path, *rules)) as manager:
        events = [event(n, n * 10) for n in range(2)] + [event("f", 60, event_type="full")]
        await manager.submit_events(events)
        await manager.submit_events([events[0], event("x", 61, event_type="ok")])
        one, two = await manager.check_for_incidents()
        await manager.process_incident(two)
        figures = manager.get_statistics()
        assert {name: figures[name] for name in list(figures) if not name.startswith("m")} | {
            "engine": {},
            "sources": {},
        } == {
            "announcements": {"dropped": 0},
            "total_incidents": 2,
            "active_incidents": 1,
            "resolved_incidents": 1,
            "by_status": {"detected": 1, "resolved": 1},
            "by_severity": {"high": 1, "low": 1},
            "by_type": {"disk_space_low": 1, "error_burst": 1},
            "events": {
                "accepted": 4,
                "duplicates": 1,
                "evaluated": 4,
                "waiting": 0,
                "late": 0,
                "quarantined": 0,
            },
            "engine": {},
            "notifications": {"sent": 0, "failed": 0},
            "sources": {},
        }
        assert (figures["mttd_seconds"], figures["mtta_seconds"]) == (5, None)
        assert figures["mttr_seconds"] == 3600 - 60
        assert (figures["engine"]["rules"], figures["engine"]["problem"]) == (2, "")
        assert one.active


async def test_statistics_of_incidents_go_on_after_a_start(tmp_path: Path) -> None:
    config = settings(tmp_path, {"group_by": ["source"]})
    async with running(config) as manager:
        await manager.submit_events([event(n, source=f"s{n}") for n in range(3)])
        await manager.process_incident((await manager.check_for_incidents())[0])
        before = manager.get_statistics()
    async with running(config) as manager:
        after = manager.get_statistics()
    names = [
        name for name in before if name.endswith(("incidents", "seconds")) or name[:3] == "by_"
    ]
    assert {name: after[name] for name in names} == {name: before[name] for name in names}


async def test_statistics_answer_at_once(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        started = time.perf_counter()
        for _ in range(100):
            manager.get_statistics()
        assert time.perf_counter() - started < 1


async def test_events_from_the_future_are_counted(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        await manager.submit_event(event("far", 10**6))
        assert await manager.check_for_incidents() == []
        assert manager.get_statistics()["events"]["quarantined"] == 1


async def test_a_manager_that_failed_says_why(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        parts = manager._parts
        assert parts is not None

        async def broken(*_args: object, **_named: object) -> list[list[Signal]]:
            raise ZeroDivisionError("no reason")

        parts.evaluation._evaluate = broken  # type: ignore[method-assign]
        await manager.submit_event(event("a"))
        with pytest.raises(TocsinError, match="the manager has failed: no reason"):
            await manager.check_for_incidents()
        assert not manager.running
        with pytest.raises(TocsinError, match="no reason"):
            await manager.submit_event(event("b"))
        with pytest.raises(TocsinError, match="no reason"):
            await manager.wait_failed_or(asyncio.Event())


async def test_waiting_for_the_end(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        stop = asyncio.Event()
        waiting = asyncio.ensure_future(manager.wait_failed_or(stop))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        stop.set()
        await eventually(waiting.done)
        await waiting


def test_an_acknowledgement_is_counted() -> None:
    values = {"id": "i", "type": "t", "severity": "low", "title": "t"}
    incident = Incident.model_validate({**values, "detected_at": START, "first_event_at": START})
    taken, _ = acknowledge(incident, at=START + timedelta(minutes=3), by="ann")
    figures = IncidentStatistics()
    figures.replace(None, incident)
    figures.replace(incident, taken)
    assert figures.summary()["mtta_seconds"] == 180
