"""Several managers: in one process, on one database, and not twice on one stream."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from manager.support import event, eventually, running, settings, stored
from tocsin import IncidentManager
from tocsin.errors import StoreError, TocsinError

REFUSED = "another process evaluates stream 'main' of this database; stop it, or give this one"


async def test_on_two_databases(tmp_path: Path) -> None:
    one = settings(tmp_path, {"group_by": ["source"]}, database=str(tmp_path / "one.db"))
    two = settings(tmp_path, {"severity": "high"}, database=str(tmp_path / "two.db"))
    async with running(one) as first, running(two) as second:
        assert await first.submit_event(event("a"))
        assert await second.submit_event(event("a"))
        assert await second.submit_event(event("b", source="db"))
        assert [i.severity for i in await first.check_for_incidents()] == ["low"]
        assert [i.severity for i in await second.check_for_incidents()] == ["high"]
        await first.stop()
        assert await second.submit_event(event("c"))
    assert [i.event_count for i in await stored(two["database"])] == [3]


async def test_on_two_streams_of_one_database(store_url: str, tmp_path: Path) -> None:
    one = settings(tmp_path, {"group_by": ["source"]}, database=store_url)
    two = {**one, "stream": "other"}
    async with running(one) as first, running(two) as second:
        for number in range(20):
            await first.submit_event(event(f"a{number}", source="api"))
            await second.submit_event(event(f"b{number}", source="db"))
        assert [i.group for i in await first.check_for_incidents()] == [{"source": "api"}]
        assert [i.group for i in await second.check_for_incidents()] == [{"source": "db"}]
        assert first.get_statistics()["total_incidents"] == 1
    assert len(await stored(store_url)) == 2
    assert len(await stored(store_url, "other")) == 1


async def test_the_same_events_in_two_streams(tmp_path: Path) -> None:
    """Such as a trial beside the real thing."""
    one = settings(tmp_path)
    two = {**one, "stream": "other"}
    async with running(one) as first, running(two) as second:
        for manager in (first, second):
            await manager.submit_event(event("a"))
        try:
            async with asyncio.timeout(3):
                for manager in (first, second):
                    assert len(await manager.check_for_incidents()) == 1
        finally:
            await second.stop(0.1)


async def test_a_second_on_the_same_stream_is_refused(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, database=store_url)
    async with running(config) as first:
        with pytest.raises(StoreError, match=REFUSED):
            await IncidentManager(config).start()
        assert await first.submit_event(event("a"))
        assert len(await first.check_for_incidents()) == 1
    async with running(config) as second:
        assert await second.submit_event(event("b"))


async def test_of_several_that_start_at_once_one_wins(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, database=store_url)
    managers = [IncidentManager(config) for _ in range(4)]
    started = await asyncio.gather(*(m.start() for m in managers), return_exceptions=True)
    names = sorted(type(result).__name__ for result in started)
    assert names == ["NoneType", *["OwnedElsewhereError"] * 3]
    await asyncio.gather(*(manager.stop() for manager in managers))


@pytest.mark.slow
async def test_a_second_process_is_refused(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, database=store_url)
    program = f"import asyncio, tocsin; asyncio.run(tocsin.IncidentManager({config!r}).start())"
    async with running(config):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert REFUSED in errors.decode()


async def test_a_link_to_the_same_file_is_the_same_database(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running(config):
        (tmp_path / "link.db").symlink_to("tocsin.db")
        with pytest.raises(StoreError, match=REFUSED):
            async with running({**config, "database": str(tmp_path / "link.db")}):
                pass


async def test_in_a_thread_with_a_loop_of_its_own(tmp_path: Path) -> None:
    """A host's main thread may belong to something else; the rules' process starts all the same."""
    found: list[object] = []

    async def work() -> None:
        config = settings(tmp_path, isolation="process")
        async with running(config) as manager:
            await manager.submit_event(event("a"))
            found.extend(await manager.check_for_incidents())

    thread = threading.Thread(target=asyncio.run, args=[work()])
    thread.start()
    await asyncio.to_thread(thread.join, 30)
    assert len(found) == 1


@pytest.mark.postgres
async def test_one_whose_connection_was_cut_notices(postgres_url: str, tmp_path: Path) -> None:
    """The right to a stream goes with its connection; what another did since is not done twice."""
    config = settings(tmp_path, {"group_by": ["source"]}, database=postgres_url)
    async with running(config) as first:
        await first.submit_event(event("a", source="s1"))
        assert len(await first.check_for_incidents()) == 1
        address = postgres_url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        async with running(config) as second:
            await second.submit_event(event("b", source="s2"))
            assert len(await second.check_for_incidents()) == 1
            await eventually(lambda: not first.running)
            with pytest.raises(TocsinError, match="another process has evaluated stream 'main'"):
                await first.submit_event(event("c", source="s3"))
            assert await second.submit_event(event("c", source="s3"))
            assert len(await second.check_for_incidents()) == 1
    assert [incident.event_count for incident in await stored(postgres_url)] == [1, 1, 1]


@pytest.mark.postgres
async def test_connections_that_were_cut_are_made_anew(postgres_url: str, tmp_path: Path) -> None:
    """As when the database was started again: what was accepted is there, and work goes on."""
    config = settings(tmp_path, {"group_by": ["source"]}, database=postgres_url)
    async with running(config) as manager:
        accepted = 0
        for number in range(30):
            if number % 10 == 5:
                with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
            with contextlib.suppress(StoreError):
                await manager.submit_event(event(number, source=f"s{number}"))
                accepted += 1
        assert accepted >= 24
        await manager.check_for_incidents()
        assert manager.get_statistics()["total_incidents"] >= accepted
