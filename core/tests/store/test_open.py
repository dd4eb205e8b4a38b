"""Opening a database: the schema is brought up to date, whoever comes first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from store.support import (
    accepted,
    event,
    micros,
    open_journal,
    opened,
    other_program,
    rows,
)
from tocsin.errors import StoreError
from tocsin.store import database as database_module
from tocsin.store.database import HEAD, Database, database_url, open_database, open_for_reading
from tocsin.store.tables import metadata

OPENER = """
import asyncio, sys
from tocsin.store.database import database_url, open_database

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = await open_database(database_url(sys.argv[1]))
    await database.close()

asyncio.run(main())
"""


def test_head_is_what_alembic_says() -> None:
    config = Config()
    config.set_main_option("script_location", "tocsin.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_several_tasks_open_at_once(store_url: str) -> None:
    url = database_url(store_url)
    databases = await asyncio.gather(*(open_database(url) for _ in range(6)))
    for number, database in enumerate(databases):
        journal = await open_journal(database, f"s{number}")
        await journal.append([event("a")], accepted_at=micros(0))
        await database.close()


@pytest.mark.slow
def test_several_processes_open_at_once(store_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    # All have imported what they need, so that they really meet.
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=50)[1] for process in processes]
    assert errors == [""] * len(processes)


async def test_opening_again_keeps_what_is_stored(store_url: str) -> None:
    async with opened(store_url) as database:
        journal = await open_journal(database)
        await journal.append([event("a")], accepted_at=micros(0))
    async with opened(store_url) as database:
        assert await accepted(database) == ["a"]


@pytest.mark.parametrize("revision", ["0003", "9999"])
async def test_a_newer_schema_is_refused(store_url: str, revision: str) -> None:
    async with opened(store_url):
        pass
    with other_program(store_url) as connection:
        connection.execute(
            sa.text("UPDATE alembic_version SET version_num = :number"), {"number": revision}
        )
    with pytest.raises(StoreError, match=f"schema {revision}, newer than .* {HEAD}; upgrade"):
        await open_database(database_url(store_url))
    assert rows(store_url, "SELECT version_num FROM alembic_version") == [(revision,)]


async def test_the_first_schema_is_brought_up_to_date(store_url: str) -> None:
    """What the journal of an earlier version holds is counted."""
    async with opened(store_url) as database:
        journal = await open_journal(database)
        await journal.append([event("a"), event("b")], accepted_at=micros(0))
        await open_journal(database, "other")
    with other_program(store_url) as connection:
        connection.execute(sa.text("ALTER TABLE streams DROP COLUMN events"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    url = database_url(store_url)
    with pytest.raises(StoreError, match=f"schema 0001, older .* {HEAD}"):
        await open_for_reading(url)
    async with opened(store_url) as database:
        assert await accepted(database) == ["a", "b"]
    counted = rows(store_url, "SELECT stream, events FROM streams ORDER BY stream")
    assert [count for _, count in counted] == [2, 0]


async def test_a_migration_that_was_cut_off_is_made_anew(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is one transaction: a failure in the middle leaves an empty database."""
    upgrade = database_module._upgrade

    def fail_late(connection: sa.Connection) -> None:
        upgrade(connection)
        raise sa.exc.OperationalError("CREATE TABLE", {}, Exception("no power"))

    with monkeypatch.context() as patch:
        patch.setattr(database_module, "_upgrade", fail_late)
        with pytest.raises(StoreError, match="no power"):
            await open_database(database_url(store_url))
    with other_program(store_url) as connection:
        assert sa.inspect(connection).get_table_names() == []
    async with opened(store_url) as database:
        assert await accepted(database) == []


class TestUrl:
    def test_a_plain_name_is_a_file_for_sqlite(self, tmp_path: Path) -> None:
        url = database_url("x.db", directory=tmp_path)
        assert (url.drivername, url.database) == ("sqlite+aiosqlite", str(tmp_path / "x.db"))

    def test_an_absolute_file_stays_where_it_is(self, tmp_path: Path) -> None:
        url = database_url("/var/lib/x.db", directory=tmp_path)
        assert url.database == "/var/lib/x.db"

    @pytest.mark.parametrize("name", ["postgresql", "postgres", "postgresql+asyncpg"])
    def test_postgresql_has_several_names(self, name: str) -> None:
        assert database_url(f"{name}://h/d").drivername == "postgresql+psycopg"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("://", "neither a file nor a URL"),
            ("mysql://u:hunter2@h/d", "'mysql' is not supported"),
            ("sqlite://", "in memory would lose"),
            ("sqlite:///:memory:", "in memory would lose"),
            pytest.param("postgresql://u:hunter2@h:port/d", "neither a file nor a URL"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(StoreError, match=message) as caught:
            database_url(text)
        assert "hunter2" not in str(caught.value)
