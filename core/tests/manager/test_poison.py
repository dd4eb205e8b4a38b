"""Events that cannot be judged are kept aside; nothing that is accepted can stop the rest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from manager.support import clock_at, event, eventually, running, settings, stored
from tocsin import IncidentEvent, IncidentManager
from tocsin.errors import EventError, MatcherError, StoreError
from tocsin.rules.matcher import Question, Verdict
from tocsin.store.database import database_url, open_database
from tocsin.store.queries import quarantined_events


async def kept_aside(url: str) -> list[dict[str, Any]]:
    database = await open_database(database_url(url))
    try:
        return await quarantined_events(database, "main", 100)
    finally:
        await database.close()


class Picky:
    """A matcher that does not survive records of a kind."""

    def __init__(self, matcher: Any, poison: Sequence[Question]) -> None:
        self._matcher = matcher
        self._poison = poison
        self.absent = 0

    async def start(self) -> None:
        await self._matcher.start()

    async def match(self, questions: Sequence[Question]) -> list[Verdict]:
        if self.absent:
            self.absent -= 1
            raise MatcherError("the rules worker does not start")
        verdicts: list[Verdict] = await self._matcher.match(questions)
        return [
            None if question in self._poison else verdict
            for question, verdict in zip(questions, verdicts, strict=True)
        ]

    async def close(self) -> None:
        await self._matcher.close()


def make_picky(manager: IncidentManager, *poison: IncidentEvent) -> Picky:
    parts = manager._parts
    assert parts is not None
    questions = parts.engine.prepare(poison).questions()
    picky = Picky(parts.matcher, questions)
    parts.evaluation._matcher = picky
    return picky


RULE = {"when": {"event_type": "fail", "metadata.size": {"gte": 10}}, "group_by": ["source"]}


async def test_what_the_engine_does_not_survive_is_kept_aside(
    store_url: str, tmp_path: Path
) -> None:
    config = settings(tmp_path, RULE, database=store_url)
    async with running(config) as manager:
        poison = event("poison", metadata={"size": 10})
        make_picky(manager, poison)
        events = [event("a", metadata={"size": 11}), poison, event("b", metadata={"size": 12})]
        assert await manager.submit_events(events) == 3
        (incident,) = await manager.check_for_incidents()
        assert incident.event_count == 2
        assert manager.get_statistics()["events"]["quarantined"] == 1
        assert await manager.submit_event(event("c", metadata={"size": 13}))
        await manager.check_for_incidents()
    (entry,) = await kept_aside(store_url)
    assert (entry["event_id"], entry["reason"]) == ("poison", "the rules engine could not judge it")
    assert entry["event"]["metadata"] == {"size": 10}
    async with running(config) as manager:
        assert await manager.submit_event(event("poison")) is False
    assert [incident.event_count for incident in await stored(store_url)] == [3]


async def test_while_there_is_no_engine_events_wait(tmp_path: Path) -> None:
    clock = clock_at(60)
    async with running(settings(tmp_path, RULE), clock=clock) as manager:
        picky = make_picky(manager)
        picky.absent = 2
        await manager.submit_event(event("a", metadata={"size": 11}))
        problem = "the rules engine: the rules worker does not start"
        await eventually(lambda: manager.get_statistics()["engine"]["problem"] == problem)
        assert manager.get_statistics()["events"]["waiting"] == 1
        for _ in range(10):
            await clock.advance(1)
        assert len(await manager.check_for_incidents()) == 1
        assert manager.get_statistics()["engine"]["problem"] == ""


async def test_an_event_of_the_far_future_is_kept_aside(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, database=store_url, max_ahead="1m")
    async with running(config, clock=clock_at(0)) as manager:
        await manager.submit_events([event("far", 61), event("near", 60)])
        (incident,) = await manager.check_for_incidents()
        assert [one.event_id for one in incident.events] == ["near"]
    (entry,) = await kept_aside(store_url)
    assert entry["event_id"] == "far"
    assert "max_ahead" in entry["reason"]


EDGES = {
    "first year": datetime(1, 1, 1, tzinfo=UTC),
    "last year": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    "before the first year": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    "after the last year": datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14))),
}


class Ratio(float):
    """As numpy's numbers are."""


ODD: dict[str, dict[str, Any]] = {
    **{name: {"timestamp": instant} for name, instant in EDGES.items()},
    "a float of a kind": {"metadata": {"x": Ratio(1.5)}},
    "a float of a kind inside": {"metadata": {"x": [{"y": Ratio(1.5)}]}},
    "surrogates": {"metadata": {"\ud800": "\udfff", "component": "\ud800"}},
    "nul": {"source": "\x00", "message": "\x00", "correlation_id": "\x00"},
    "large numbers": {"metadata": {"a": 10**400, "b": -(2**70), "c": float("nan")}},
    "long texts": {"event_id": "i" * 256, "source": "s" * 256, "message": "m" * 100_000},
    "a long component": {"metadata": {"component": "c" * 257}},
    "deep": {"metadata": {"x": {"y": [[[[[[1]]]]]]}}},
}


@pytest.mark.parametrize("kind", ODD)
async def test_no_event_ends_the_manager(store_url: str, tmp_path: Path, kind: str) -> None:
    """It is refused, kept aside or judged; either way the next one is, also after a start."""
    fields: dict[str, Any] = {"event_id": "odd", **ODD[kind]}
    rule = {
        "group_by": ["source", "metadata.x", "metadata.a"],
        "window": {"count": {"gte": 1}, "within": "1m"},
    }
    config = settings(tmp_path, rule, {}, {"resolve_after": "1m"}, database=store_url)
    for name in "ab":
        async with running(config) as manager:
            with contextlib.suppress(EventError, StoreError, ValueError):
                await manager.submit_event(event("odd", **fields))
            try:
                async with asyncio.timeout(5):
                    await manager.check_for_incidents()
                    await manager.submit_event(event(f"plain {name}"))
                    await manager.check_for_incidents()
                assert manager.running
            finally:
                await manager.stop(0.5)
    assert await stored(store_url)


@pytest.mark.slow
async def test_a_worker_that_dies_under_load(tmp_path: Path) -> None:
    """Nothing is lost: what was asked is asked again by a new one."""
    config = settings(tmp_path, RULE, isolation="process")
    async with running(config) as manager:
        parts = manager._parts
        assert parts is not None
        for number in range(40):
            for route in (*parts.engine._routes.values(), parts.engine._otherwise):
                route.known.clear()  # so that the worker is asked again
            await manager.submit_events(
                [event(n, metadata={"size": n}) for n in range(number * 20, number * 20 + 20)]
            )
            process = getattr(parts.matcher, "_process", None)
            if process is not None and number % 5 == 4:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        (incident,) = await manager.check_for_incidents()
        figures = manager.get_statistics()
        assert figures["events"]["evaluated"] == 800
        assert figures["events"]["quarantined"] == 0
        assert figures["engine"]["worker_replacements"] >= 1
        found = await manager.get_incident(incident.id)
    assert found.event_count == 790


async def test_problems_of_the_matcher_end_with_the_manager(tmp_path: Path) -> None:
    config = settings(tmp_path, RULE)
    async with running(config) as manager:
        make_picky(manager).absent = 10**6
        await manager.submit_event(event("a", metadata={"size": 11}))
        await asyncio.sleep(0.05)
        await manager.stop(0.1)
    async with running(config) as manager:
        assert len(await manager.check_for_incidents()) == 1
