"""A database that cannot be used: what is said, and that nothing is left open."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from store.support import event, micros, open_journal, opened, other_program
from tocsin.errors import StoreError


def threads() -> list[str]:
    """Name the threads; those of the loop's own executor, which looks hosts up, end with it."""
    names = (thread.name for thread in threading.enumerate())
    return sorted(name for name in names if not name.startswith("asyncio_"))


async def refusal(database: str) -> str:
    before = len(threads())
    with pytest.raises(StoreError) as caught:
        async with opened(database) as open_one:
            await open_journal(open_one)
    async with asyncio.timeout(5):
        # The driver's threads are told to end, and do so in their own time.
        while len(threads()) > before:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0.01)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    process = psutil.Process()
    before = threads(), process.num_fds()
    yield
    # The driver's threads are told to end, and do so in their own time.
    deadline = time.monotonic() + 5
    while threads() != before[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == before[0]
    assert process.num_fds() <= before[1]


async def test_a_missing_directory(tmp_path: Path) -> None:
    message = await refusal(str(tmp_path / "none" / "x.db"))
    assert message == (
        f"the directory '{tmp_path}/none' of the database does not exist; create it first"
    )
    assert not (tmp_path / "none").exists()


async def test_a_file_as_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "does not exist" in await refusal(str(tmp_path / "file" / "x.db"))


async def test_a_directory_as_file(tmp_path: Path) -> None:
    assert await refusal(str(tmp_path)) == f"the database '{tmp_path}' is a directory; name a file"


@pytest.mark.parametrize("content", [b"hello", b"not a database at all\n" * 5000])
async def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(content)
    assert "file is not a database" in await refusal(str(file))
    assert file.read_bytes() == content


async def test_the_message_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"hello")
    assert str(file) in await refusal(str(file))


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    async with opened(str(tmp_path / "x.db")) as database:
        journal = await open_journal(database)
        await journal.append([event("a")], accepted_at=micros(0))


async def test_a_name_that_no_file_has(tmp_path: Path) -> None:
    await refusal(str(tmp_path / "\0"))


@pytest.fixture
def immutable(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose files even root cannot write, and put it right afterwards."""
    folder = tmp_path / "immutable"
    folder.mkdir()
    yield folder
    subprocess.run(["chattr", "-i", *folder.iterdir(), folder], check=False, capture_output=True)


def protect(folder: Path) -> None:
    try:
        for path in (*folder.iterdir(), folder):
            subprocess.run(["chattr", "+i", path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        if os.geteuid() == 0:
            pytest.skip("this file system cannot make a file immutable")
        for path in (*folder.iterdir(), folder):
            path.chmod(0o500)


@pytest.mark.parametrize("filled", [True, False])
async def test_a_read_only_database(immutable: Path, filled: bool) -> None:
    """Said at the start, not at the first event."""
    file = immutable / "x.db"
    if filled:
        async with opened(str(file)) as database:
            await open_journal(database)
    protect(immutable)
    assert re.search("attempt to write|unable to open", await refusal(str(file)))


async def test_nobody_at_the_port() -> None:
    message = await refusal("postgresql://postgres:hunter2@127.0.0.1:9/tocsin")
    assert re.search("127.0.0.1.*port 9 failed: Connection refused", message)
    assert "hunter2" not in message


async def test_a_host_that_is_not_there() -> None:
    message = await refusal("postgresql://postgres:hunter2@host.invalid/tocsin")
    assert "host.invalid" in message
    assert "hunter2" not in message


@pytest.mark.postgres
async def test_a_database_that_is_not_there(postgres_url: str) -> None:
    assert "does not exist" in await refusal(f"{postgres_url}_not")


async def test_the_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    url = str(tmp_path / "x.db")
    async with opened(url) as database:
        journal = await open_journal(database)
        with other_program(url) as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(journal.append([event("a")], accepted_at=micros(0)))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        assert len((await waiting).blocks) == 1


async def test_a_statement_that_fails_is_not_shown_with_its_values(tmp_path: Path) -> None:
    url = str(tmp_path / "x.db")
    async with opened(url) as database:
        journal = await open_journal(database)
        with other_program(url) as connection:
            connection.execute(sa.text("DROP TABLE journal"))
        with pytest.raises(StoreError, match="no such table: journal") as caught:
            await journal.append([event("a", message="hunter2")], accepted_at=micros(0))
        assert "hunter2" not in str(caught.value)
        assert journal.position == 0
