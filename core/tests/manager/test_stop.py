"""A good guest: nothing stays behind, nothing of the host is touched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
import pytest

from manager.support import Bell, clock_at, event, eventually, running, settings, stored
from tocsin import IncidentManager
from tocsin.errors import StoreError, TocsinError
from tocsin.hookspecs import hookimpl


def held() -> dict[str, Any]:
    """List what a process holds."""
    process = psutil.Process()
    names = (thread.name for thread in threading.enumerate())
    return {
        # Those of the loop's own executor stay until it is closed.
        "threads": sorted(name for name in names if not name.startswith("asyncio_")),
        "children": [child.pid for child in process.children(recursive=True)],
        "files": process.num_fds(),
        "tasks": len(asyncio.all_tasks()),
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "log": (list(logging.root.handlers), logging.root.level),
        "loop": asyncio.get_running_loop().get_exception_handler(),
    }


@contextlib.asynccontextmanager
async def nothing_stays() -> AsyncIterator[None]:
    await asyncio.to_thread(int)  # so that the loop's own executor is there before
    before = held()
    yield
    # What an earlier test left to end may end meanwhile.
    await eventually(lambda: not more(held(), than=before), seconds=5)


def more(now: dict[str, Any], *, than: dict[str, Any]) -> list[str]:
    """Name what is held now and was not before, or is not as it was."""
    return [
        name
        for name, value in now.items()
        if (
            Counter(value) - Counter(than[name])
            if name in ("threads", "children")
            else value > than[name]
            if isinstance(value, int)
            else value != than[name]
        )
    ]


class Listener:
    """A plugin of both colours."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def tocsin_incident_changed(self, change: str) -> None:
        self.heard.append(change)

    @hookimpl
    async def tocsin_stopping(self, stream: str) -> None:
        self.heard.append(stream)


async def work_with(manager: IncidentManager) -> None:
    manager.add_health_check("api", lambda: True)
    for number in range(50):
        await manager.submit_event(event(number, source=f"s{number % 3}"))
    for incident in await manager.check_for_incidents():
        await manager.process_incident(incident)
    await asyncio.gather(*(manager.get_incident(incident.id) for _ in range(10)))


@pytest.mark.parametrize("isolation", ["inline", "process"])
async def test_nothing_stays(store_url: str, tmp_path: Path, isolation: str) -> None:
    bell, listener = Bell(), Listener()
    config = settings(
        tmp_path,
        {"group_by": ["source"]},
        database=store_url,
        notifications={"bell": {}},
        isolation=isolation,
    )
    # What is imported and cached at the first time may stay.
    async with running(config, plugins=[bell, listener]) as manager:
        await manager.submit_event(event("first"))
    async with nothing_stays(), running(config, plugins=[bell, listener]) as manager:
        await work_with(manager)
    assert listener.heard.count("opened") == len(bell.notices) - listener.heard.count("resolved")
    assert listener.heard[-1] == "main"


async def test_nothing_stays_of_one_that_does_not_start(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config):
        pass
    async with nothing_stays():
        for wrong in (
            {**config, "database": str(tmp_path / "none" / "x.db")},
            {**config, "rulesets": ["none.yaml"]},
            {**config, "sources": {"none": {}}},
            {**config, "database": "postgresql://postgres@127.0.0.1:9/x"},
        ):
            with pytest.raises(TocsinError):
                await IncidentManager(wrong).start()


async def test_nothing_stays_of_one_that_is_refused(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config):
        before = {thread.name for thread in threading.enumerate()}, len(asyncio.all_tasks())
        with pytest.raises(StoreError):
            await IncidentManager(config).start()
        assert (
            {thread.name for thread in threading.enumerate()},
            len(asyncio.all_tasks()),
        ) == before


@pytest.mark.parametrize("isolation", ["inline", "process"])
async def test_nothing_stays_of_a_start_that_is_cancelled(tmp_path: Path, isolation: str) -> None:
    config = settings(tmp_path, isolation=isolation)
    async with running(config) as manager:
        await manager.submit_event(event("a"))
    async with nothing_stays():
        for milliseconds in (0, 1, 3, 5, 8, 12, 20, 30, 60, 120):
            manager = IncidentManager(config)
            task = asyncio.ensure_future(manager.start())
            await asyncio.sleep(milliseconds / 1000)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await manager.stop()
    async with running(config) as manager:
        assert await manager.submit_event(event("b"))


async def test_stopping_twice_and_at_once(tmp_path: Path) -> None:
    async with nothing_stays():
        manager = IncidentManager(settings(tmp_path))
        await manager.start()
        await manager.submit_event(event("a"))
        await asyncio.gather(manager.stop(), manager.stop())
        await manager.stop()


async def test_starting_again(tmp_path: Path) -> None:
    manager = IncidentManager(settings(tmp_path))
    for number in range(3):
        await manager.start()
        assert await manager.submit_event(event(number))
        await manager.stop()
        assert not manager.running


async def test_what_was_accepted_is_finished_first(tmp_path: Path) -> None:
    bell = Bell()
    config = settings(tmp_path, {"group_by": ["source"]}, notifications={"bell": {}})
    async with running(config, plugins=[bell]) as manager:
        await manager.submit_events([event(n, source=f"s{n}") for n in range(300)])
    assert len(bell.notices) == 300
    assert len(await stored(config["database"])) == 300


async def test_a_deadline_leaves_the_rest_for_the_next_start(tmp_path: Path) -> None:
    async def never(_notice: object) -> None:
        await asyncio.sleep(3600)

    config = settings(tmp_path, notifications={"bell": {}})
    async with nothing_stays(), running(config, plugins=[Bell(never)]) as manager:
        await manager.submit_event(event("a"))
        await manager.check_for_incidents()
        started = time.monotonic()
        await manager.stop(0.2)
        assert time.monotonic() - started < 2
    assert len(await stored(config["database"])) == 1


async def test_a_thread_that_is_stuck_does_not_hold_up_the_end(tmp_path: Path) -> None:
    released = threading.Event()

    class Stuck:
        @hookimpl
        def tocsin_incident_changed(self) -> None:
            released.wait(20)

    try:
        async with running(settings(tmp_path), plugins=[Stuck()]) as manager:
            await manager.submit_event(event("a"))
            await manager.check_for_incidents()
            started = time.monotonic()
            await manager.stop(0.2)
            assert time.monotonic() - started < 2
    finally:
        released.set()


async def test_cancelling_the_end_still_lets_go(tmp_path: Path) -> None:
    async def never(_notice: object) -> None:
        await asyncio.sleep(3600)

    config = settings(tmp_path, notifications={"bell": {}})
    async with nothing_stays():
        manager = IncidentManager(config, plugins=[Bell(never)])
        await manager.start()
        await manager.submit_event(event("a"))
        await manager.check_for_incidents()
        stopping = asyncio.ensure_future(manager.stop())
        await asyncio.sleep(0.1)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert not manager.running
    async with running(config, plugins=[Bell()]):
        pass


async def test_cancelling_is_never_swallowed(tmp_path: Path) -> None:
    """A task group or a timeout of the host's around everything works."""
    config = settings(tmp_path, response={"quiet_for": "1h"}, queue_size=1)
    async with nothing_stays():
        with pytest.raises(TimeoutError):  # noqa: PT012 - all of it belongs inside
            async with asyncio.timeout(1):
                async with running(config, clock=clock_at(60)) as manager:
                    await manager.submit_event(event("a"))
                    (incident,) = await manager.check_for_incidents()
                    await manager.process_incident(incident)


IN_FLIGHT = """
import asyncio, sys
from manager.support import event
from tocsin import IncidentManager
from tocsin.errors import TocsinError

async def main():
    for waits in range(6):
        manager = IncidentManager(CONFIG)
        await manager.start()
        await manager.submit_event(event(f"e{waits}"))
        for incident in await manager.check_for_incidents():
            ident = incident.id
        calls = [
            call
            for number in range(6)
            for call in (
                manager.get_incident(ident),
                manager.process_incident(ident),
                manager.check_for_incidents(),
                manager.submit_event(event(f"e{waits}.{number}")),
            )
        ]
        tasks = [asyncio.ensure_future(call) for call in calls]
        for _ in range(waits):
            await asyncio.sleep(0)
        await manager.stop()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, TocsinError):
                print(repr(result))

asyncio.run(main())
"""


@pytest.mark.slow
async def test_calls_in_flight_at_the_end(tmp_path: Path) -> None:
    """They end one way or the other, with our own errors, and let go of what they hold."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c"),
        IN_FLIGHT.replace("CONFIG", repr(settings(tmp_path))),
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(25):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert (process.returncode, output.decode(), errors.decode()) == (0, "", "")


class Ticker:
    """Measures how long the loop was held up at most."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            self.longest, before = max(self.longest, now - before - 0.005), now


@pytest.mark.slow
async def test_a_stuck_file_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """SQLite waits for another program's lock in its thread."""
    config = settings(tmp_path)
    manager = IncidentManager(config)
    await manager.start()
    other = sqlite3.connect(config["database"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(manager.submit_event(event("a")))
        await asyncio.sleep(0.1)
        async with Ticker() as ticker:
            started = time.monotonic()
            await manager.stop(0.5)
            took = time.monotonic() - started
    finally:
        other.rollback()
        other.close()
    with contextlib.suppress(StoreError):
        await waiting
    assert ticker.longest < 1
    assert took < 5


@pytest.mark.postgres
async def test_a_stuck_server_does_not_hold_up_the_end(postgres_url: str, tmp_path: Path) -> None:
    """Another session holds the row that says where the journal ends."""
    config = settings(tmp_path, database=postgres_url)
    manager = IncidentManager(config)
    await manager.start()
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
        other.execute("UPDATE streams SET position = position")
        waiting = asyncio.ensure_future(manager.submit_event(event("a")))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        stopping = asyncio.ensure_future(manager.stop(0.5))
        await asyncio.wait([stopping], timeout=6)
        took = time.monotonic() - started
        other.rollback()
    await stopping
    with contextlib.suppress(StoreError):
        await waiting
    assert took < 5
