"""Submitting: durable when it returns, once for each id, and never more waiting than allowed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from manager.support import clock_at, event, eventually, running, settings
from tocsin import IncidentManager
from tocsin.errors import EventError, StoreError, TocsinError
from tocsin.store.database import database_url, open_database
from tocsin.store.queries import last_events


async def journalled(url: str, stream: str = "main") -> list[str]:
    """Give the ids in the journal, as another process sees them."""
    database = await open_database(database_url(url))
    try:
        return [one.event_id for one in await last_events(database, stream, 10**6)]
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def stalled(manager: IncidentManager) -> AsyncIterator[None]:
    """Keep the manager from evaluating anything."""
    assert manager._parts is not None
    async with manager._parts.evaluation.incidents:
        yield


async def test_it_is_durable_when_it_returns(store_url: str, tmp_path: Path) -> None:
    async with running(settings(tmp_path, database=store_url)) as manager:
        for name in "abc":
            assert await manager.submit_event(event(name)) is True
            assert (await journalled(store_url))[-1] == name


async def test_a_batch(store_url: str, tmp_path: Path) -> None:
    async with running(settings(tmp_path, database=store_url)) as manager:
        assert await manager.submit_events([]) == 0
        assert await manager.submit_events([event(n) for n in "abcb"]) == 3
        assert await manager.submit_events([event(n) for n in "cde"]) == 2
        assert await manager.submit_event(event("e")) is False
        assert await journalled(store_url) == list("abcde")


async def test_many_at_once(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, {"group_by": ["source"]}, database=store_url)
    async with running(config) as manager:

        async def produce(number: int) -> int:
            new = 0
            for part in range(5):
                name = f"{number}.{part}"
                new += await manager.submit_event(event(name, part, source=f"s{number % 7}"))
                new += await manager.submit_events([event("all"), event(f"both {part}")])
            return new

        told = await asyncio.gather(*(produce(number) for number in range(100)))
        assert sum(told) == 500 + 1 + 5
        assert len(await manager.check_for_incidents()) == 7 + 1
        figures = manager.get_statistics()["events"]
        assert (figures["accepted"], figures["evaluated"], figures["waiting"]) == (506, 506, 0)
        assert figures["duplicates"] == 1500 - 506
    found = await journalled(store_url)
    assert len(found) == len(set(found)) == 506


async def test_the_order_of_one_producer_is_kept(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config) as manager:
        waiting = [asyncio.ensure_future(manager.submit_event(event(n))) for n in range(300)]
        await asyncio.gather(*waiting)
    assert await journalled(config["database"]) == [str(n) for n in range(300)]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_repeated_id_is_known_after_a_start(
    store_url: str, tmp_path: Path, crash: bool
) -> None:
    config = settings(tmp_path, database=store_url)
    async with running(config) as manager:
        await manager.submit_events([event("a"), event("b")])
        if crash:
            await manager._tear_down()
    async with running(config) as manager:
        assert await manager.submit_event(event("a")) is False
        assert await manager.submit_events([event("b"), event("c")]) == 1
        await manager.check_for_incidents()
        assert manager.get_statistics()["by_type"] == {"error_burst": 1}
    assert await journalled(store_url) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("horizon", "seconds"), [({"within": "10s"}, 10.5), ({"ids": 2}, 0), ({"ids": 0}, 0)]
)
async def test_beyond_the_horizon_an_id_is_accepted_again(
    tmp_path: Path, horizon: dict[str, object], seconds: float
) -> None:
    clock = clock_at(3600)
    config = settings(tmp_path, {"when": {"event_type": "other"}}, deduplication=horizon)
    async with running(config, clock=clock) as manager:
        assert await manager.submit_events([event(n) for n in "abc"]) == 3
        await clock.advance(seconds)
        assert await manager.submit_event(event("a")) is True


@pytest.mark.parametrize("resolved", [False, True])
async def test_beyond_the_horizon_an_event_that_fires_again(tmp_path: Path, resolved: bool) -> None:
    """The same event is the same detection: nothing new, and above all nothing that gets stuck."""
    config = settings(tmp_path, deduplication={"ids": 0})
    async with running(config) as manager:
        await manager.submit_event(event("a"))
        (incident,) = await manager.check_for_incidents()
        if resolved:
            await manager.process_incident(incident)
        assert await manager.submit_event(event("a")) is True
        try:
            async with asyncio.timeout(3):
                assert await manager.check_for_incidents() == []
        finally:
            await manager.stop(0.1)


@pytest.mark.parametrize("resolved", [False, True])
async def test_beyond_the_horizon_in_one_go(tmp_path: Path, resolved: bool) -> None:
    """The same event twice in what is evaluated together, and what led to an incident before."""
    config = settings(tmp_path, {"group_by": ["source"]}, deduplication={"ids": 0})
    async with running(config) as manager:
        if resolved:
            await manager.submit_event(event("a"))
            await manager.process_incident((await manager.check_for_incidents())[0])
        async with stalled(manager):
            for name in "abab":
                assert await manager.submit_event(event(name)) is True
        try:
            async with asyncio.timeout(3):
                assert len(await manager.check_for_incidents()) == 1  # of one group
        finally:
            await manager.stop(0.1)


@pytest.mark.slow
async def test_very_many_detections_at_once(store_url: str, tmp_path: Path) -> None:
    """Databases take only so many parameters in a statement."""
    config = settings(tmp_path, {"group_by": ["metadata.x"]}, database=store_url)
    async with running(config) as manager:
        await manager.submit_events([event(n, metadata={"x": n % 3}) for n in range(35_000)])
        try:
            async with asyncio.timeout(110):
                found = await manager.check_for_incidents()
        finally:
            await manager.stop(0.1)
    assert len(found) == 3


# -- what is refused -------------------------------------------------------------------------------


async def test_too_large_an_event_does_not_harm_others(tmp_path: Path) -> None:
    config = settings(tmp_path, max_event_bytes=2000)
    async with running(config) as manager:
        large = event("large", message="x" * 3000)
        results = await asyncio.gather(
            *(manager.submit_event(e) for e in (event("a"), large, event("b"))),
            manager.submit_events([event("c"), large]),
            manager.submit_events([event("d"), event("e")]),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results] == [
            "bool",
            "EventError",
            "bool",
            "EventError",
            "int",
        ]
        with pytest.raises(EventError, match=r"'large' has 3[0-9]+ bytes, at most 2000"):
            await manager.submit_event(large)
        await manager.check_for_incidents()
        assert manager.get_statistics()["events"]["waiting"] == 0
    assert sorted(await journalled(config["database"])) == list("abde")


async def test_a_check_waits_for_those_beside_one_that_is_refused(tmp_path: Path) -> None:
    """What is committed together is committed one by one where one of them is too large."""
    config = settings(tmp_path, {"group_by": ["source"]}, max_event_bytes=2000)
    async with running(config) as manager:
        parts = manager._parts
        assert parts is not None
        append = parts.journal.append

        async def slowly(*args: Any, **named: Any) -> Any:
            await asyncio.sleep(0.05)
            return await append(*args, **named)

        parts.journal.append = slowly  # type: ignore[method-assign]
        large = event("large", message="x" * 3000)
        events = [*(event(name, source=name) for name in "abc"), large]
        waiting = [asyncio.ensure_future(manager.submit_event(one)) for one in events]
        await asyncio.wait([waiting[0]])
        assert len(await manager.check_for_incidents()) == 3
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_after_the_end_nothing_is_accepted(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config) as manager:
        stopping = asyncio.ensure_future(manager.stop())
        await asyncio.sleep(0)
        results: list[bool] = []
        while manager._parts is not None:
            with contextlib.suppress(StoreError, TocsinError):
                results.append(await manager.submit_event(event(len(results))))
            await asyncio.sleep(0)
        await stopping
    assert await journalled(config["database"]) == [str(n) for n in range(sum(results))]


async def test_what_waits_at_the_end_is_stored_or_refused(tmp_path: Path) -> None:
    config = settings(tmp_path, queue_size=50)
    async with running(config) as manager:
        waiting = [asyncio.ensure_future(manager.submit_event(event(n))) for n in range(500)]
        await asyncio.sleep(0.01)
        await manager.stop()
        told = await asyncio.gather(*waiting, return_exceptions=True)
    accepted = [str(n) for n, result in enumerate(told) if result is True]
    assert {type(result) for result in told} <= {bool, StoreError}
    assert sorted(await journalled(config["database"])) == sorted(accepted)


# -- backpressure ----------------------------------------------------------------------------------


async def test_producers_wait_while_too_much_waits(tmp_path: Path) -> None:
    config = settings(tmp_path, queue_size=10)
    async with running(config) as manager:
        async with stalled(manager):
            waiting = [asyncio.ensure_future(manager.submit_event(event(n))) for n in range(200)]
            await eventually(lambda: sum(task.done() for task in waiting) == 10)
            await asyncio.sleep(0.2)
            assert sum(task.done() for task in waiting) == 10
            assert manager.get_statistics()["events"]["waiting"] == 10
            assert len(await journalled(config["database"])) == 10
        assert all(await asyncio.gather(*waiting))
        await manager.check_for_incidents()
        assert manager.get_statistics()["events"]["waiting"] == 0
    assert len(await journalled(config["database"])) == 200


async def test_a_batch_larger_than_the_queue_goes_through_alone(tmp_path: Path) -> None:
    config = settings(tmp_path, queue_size=10)
    async with running(config) as manager:
        async with stalled(manager):
            assert await manager.submit_events([event(f"a{n}") for n in range(100)]) == 100
            next_one = asyncio.ensure_future(
                manager.submit_events([event(f"b{n}") for n in range(100)])
            )
            small = asyncio.ensure_future(manager.submit_event(event("c")))
            await asyncio.sleep(0.2)
            assert not next_one.done()
            assert not small.done()
        assert await next_one == 100
        assert await small


async def test_no_more_than_the_queue_is_ever_at_hand(tmp_path: Path) -> None:
    config = settings(tmp_path, queue_size=64)
    highest = 0
    async with running(config) as manager:

        async def produce(number: int) -> None:
            nonlocal highest
            for part in range(20):
                batch = [event(f"{number}.{part}.{n}") for n in range(1 + number % 9)]
                await manager.submit_events(batch)
                highest = max(highest, manager.get_statistics()["events"]["waiting"])

        await asyncio.gather(*(produce(number) for number in range(30)))
    assert 0 < highest <= 64


# -- cancelling ------------------------------------------------------------------------------------


async def test_one_who_gives_up_while_waiting_for_room_leaves_nothing(tmp_path: Path) -> None:
    config = settings(tmp_path, queue_size=1)
    async with running(config) as manager:
        async with stalled(manager):
            await manager.submit_event(event("first"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await manager.submit_event(event("gone"))
        assert await manager.submit_event(event("next"))
        assert manager.get_statistics()["events"]["accepted"] == 2
    assert await journalled(config["database"]) == ["first", "next"]


async def test_one_who_gives_up_while_it_is_stored(tmp_path: Path) -> None:
    """It may be stored or not; submitted again it is there once."""
    config = settings(tmp_path)
    async with running(config) as manager:
        for number in range(60):
            task = asyncio.ensure_future(manager.submit_event(event(number)))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            if number % 3 == 0:
                await asyncio.sleep(number / 20_000)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert manager.running
        await manager.submit_events([event(number) for number in range(60)])
        await manager.check_for_incidents()
        figures = manager.get_statistics()["events"]
        assert (figures["accepted"], figures["evaluated"], figures["waiting"]) == (60, 60, 0)
    assert sorted(await journalled(config["database"])) == sorted(map(str, range(60)))


async def test_cancelling_a_check_does_no_harm(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        async with stalled(manager):
            await manager.submit_event(event("a"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await manager.check_for_incidents()
        assert len(await manager.check_for_incidents()) == 1
