"""A disk that is full, and has space again: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.support import Drive, clock_at, event, eventually, running, settings, stored
from tocsin import IncidentEvent, IncidentManager
from tocsin.errors import StoreError
from tocsin.store.database import database_url, open_database
from tocsin.store.queries import last_events


@contextlib.contextmanager
def no_more_pages(_file: Path) -> Iterator[None]:
    """Have SQLite refuse to let the database grow, as it does when the disk is full."""
    _limit["pages"] = True
    try:
        yield
    finally:
        _limit["pages"] = False


_limit = {"pages": False}


@pytest.fixture(autouse=True)
def _limited_pages() -> Iterator[None]:
    """Set the limit with each transaction: it belongs to the connection, which lives on."""

    def begin(connection: sa.Connection) -> None:
        pages = 10**9
        if _limit["pages"]:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sa.Engine, "begin", begin)
    yield
    sa.event.remove(sa.Engine, "begin", begin)


@contextlib.contextmanager
def no_larger_files(file: Path) -> Iterator[None]:
    """Have the system refuse to let files grow: writing itself fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [path.stat().st_size for path in file.parent.glob(f"{file.name}*")]
    # What the tests' own logs need is far less.
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


Full = Callable[[Path], contextlib.AbstractContextManager[None]]
WAYS = pytest.mark.parametrize("full", [no_more_pages, no_larger_files])


def large(name: object) -> IncidentEvent:
    return event(name, message="x" * 20_000, source=f"s{name}")


async def journalled(url: str) -> list[str]:
    database = await open_database(database_url(url))
    try:
        return [one.event_id for one in await last_events(database, "main", 10**6)]
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def filled(
    manager: IncidentManager, file: Path, full: Full, accepted: list[str]
) -> AsyncIterator[None]:
    """Submit until the disk is full."""
    with full(file):
        problem = None
        for number in range(400):
            try:
                await manager.submit_event(large(f"filling{number}"))
            except StoreError as error:
                problem = error
                break
            accepted.append(f"filling{number}")
        assert problem is not None
        assert "full" in str(problem) or "disk I/O error" in str(problem)
        yield


@WAYS
async def test_submitting_fails_and_works_again(tmp_path: Path, full: Full) -> None:
    file = tmp_path / "tocsin.db"
    config = settings(tmp_path, {"when": {"event_type": "never"}})
    accepted: list[str] = []
    clock = clock_at(3600)
    async with running(config, clock=clock) as manager:
        await manager.submit_event(event("before"))
        accepted.append("before")
        async with filled(manager, file, full, accepted):
            for _ in range(3):
                with pytest.raises(StoreError):
                    await manager.submit_event(large("refused"))
            assert manager.running
        assert await manager.submit_event(large("refused")) is True
        assert await manager.submit_event(event("after")) is True
        await Drive(clock, 1).until_done(manager.check_for_incidents())
        assert manager.get_statistics()["events"]["waiting"] == 0
    assert await journalled(config["database"]) == [*accepted, "refused", "after"]


@WAYS
async def test_what_was_accepted_is_evaluated_once_there_is_space(
    tmp_path: Path, full: Full
) -> None:
    """Incidents that cannot be stored wait, and are stored once."""
    clock = clock_at(3600)
    file = tmp_path / "tocsin.db"
    config = settings(tmp_path, {"group_by": ["source"]})
    accepted: list[str] = []
    async with running(config, clock=clock) as manager:
        parts = manager._parts
        assert parts is not None
        await manager.submit_event(large("before"))
        await manager.check_for_incidents()
        accepted.append("before")
        async with filled(manager, file, full, accepted):
            checking = asyncio.ensure_future(manager.check_for_incidents())
            await asyncio.sleep(0.2)
            if not checking.done():
                await eventually(lambda: manager.get_statistics()["engine"]["problem"])
        await Drive(clock, 1).until_done(checking)
        assert manager.get_statistics()["engine"]["problem"] == ""
        assert await manager.submit_event(large("after"))
        accepted.append("after")
        await Drive(clock, 1).until_done(manager.check_for_incidents())
    assert await journalled(config["database"]) == accepted
    found = await stored(config["database"])
    assert sorted(incident.group["source"] for incident in found) == sorted(
        f"s{name}" for name in accepted
    )


@WAYS
async def test_ended_while_it_is_full(tmp_path: Path, full: Full) -> None:
    file = tmp_path / "tocsin.db"
    config = settings(tmp_path, {"group_by": ["source"]})
    accepted: list[str] = []
    async with running(config) as manager:
        await manager.submit_event(large("before"))
        accepted.append("before")
        async with filled(manager, file, full, accepted):
            await manager.stop(0.3)
    async with running(config) as manager:
        await manager.check_for_incidents()
    assert await journalled(config["database"]) == accepted
    assert len(await stored(config["database"])) == len(accepted)
