"""The connection to the database: opened, brought to the newest schema, and written in turn."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tocsin.calls import Calls
from tocsin.errors import NoDatabaseError, StoreError

Result = TypeVar("Result")

HEAD = "0002"
"""The newest revision of the schema; a test compares it with alembic's own answer."""
_BUSY_SECONDS = 15
_CLOSE_SECONDS = 2.0
_POLL_SECONDS = 0.01
_MIGRATION_LOCK = 0x746F6373696E  # the word `tocsin`: PostgreSQL's advisory locks are numbers
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}


def database_url(text: str, *, directory: Path | None = None) -> URL:
    """Turn what the settings say into the URL of an async driver.

    Args:
        text: a file for SQLite, or a URL.
        directory: where a relative file starts.

    Raises:
        StoreError: it is neither, or names a database that is not supported.
    """
    if "\0" in text:
        raise StoreError("the database's name has a NUL character in it")
    if "://" not in text:
        return URL.create(_DRIVERS["sqlite"], database=str((directory or Path()) / text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "the database is neither a file nor a URL such as postgresql://host/name"
        ) from error
    family = url.drivername.split("+")[0]
    if family not in _DRIVERS:
        raise StoreError(
            f"database {family!r} is not supported; use a file (SQLite) or postgresql://"
        )
    url = url.set(drivername=_DRIVERS[family])
    if family == "sqlite" and url.database and directory is not None:
        url = url.set(database=str(directory / url.database))
    if family == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("a database in memory would lose what was accepted; name a file")
    return url


class Database:
    """An open database. Reads run side by side on the loop; writes take turns in one thread."""

    def __init__(self, engine: AsyncEngine, writer: sa.Engine, name: str) -> None:
        self._engine = engine
        self._writer = writer
        # One thread: a transaction is one visit to it, not one for each statement, and the loop's
        # other work does not come between its statements.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tocsin-writer")
        self._reading = 0
        self.postgresql = engine.dialect.name == "postgresql"
        self.file = name
        """The file of an SQLite database, the name of a PostgreSQL one."""

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one state of the database.

        Raises:
            StoreError: the database does not answer.
        """
        with translated(self.file):
            self._reading += 1
            try:
                async with self._engine.connect() as connection:
                    yield connection
            finally:
                self._reading -= 1

    async def write(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Do work in a transaction: all of it is committed, or nothing.

        Raises:
            StoreError: the database does not answer, is full, or may not be written.
        """

        def transaction() -> Result:
            with translated(self.file), self._writer.begin() as connection:
                return work(connection)

        # A transaction that has begun goes on to its end, whoever is cancelled meanwhile.
        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    async def hold(self) -> AsyncConnection:
        """Give a connection that the caller keeps and closes."""
        with translated(self.file):
            return await self._engine.connect()

    async def close(self) -> None:
        """Close all connections; afterwards no thread of theirs is left.

        What is stuck (another program's lock, a server that does not answer) is waited for only so
        long: its thread ends when it comes back.
        """
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._writer.dispose)
        self._thread.shutdown(wait=False)
        await asyncio.wait([closed], timeout=_CLOSE_SECONDS)
        waited = 0.0
        while self._reading and waited < _CLOSE_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        await self._engine.dispose()


@contextlib.contextmanager
def translated(name: str = "") -> Any:
    """Turn the errors of a driver into ours: with the database, without statement and values."""
    which = f"the database {name!r}" if name else "the database"
    try:
        yield
    except DBAPIError as error:
        raise StoreError(f"{which} fails: {_reason(error)}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{which} fails: {error}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"{which} fails: {type(error).__name__}: {error}") from error


def _reason(error: DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()
    return text[0] if text else type(error.orig).__name__


async def open_database(url: URL, calls: Calls | None = None) -> Database:
    """Open a database and bring its schema up to date; several processes may do so at once.

    Args:
        url: of an async driver.
        calls: runs the import of the migration library, which takes a while, in a thread.

    Raises:
        StoreError: it cannot be opened, or was made by a newer version.
    """
    check_place(url)
    database = _connect(url, url.database or "", journal_mode="WAL")
    try:
        await _migrate(database, calls)
    except BaseException:
        await database.close()
        raise
    return database


async def open_for_reading(url: URL) -> Database:
    """Open a database as it is: it may lie where nothing can be written.

    Args:
        url: of an async driver.

    Raises:
        NoDatabaseError: there is none yet, or nothing is in it.
        StoreError: it cannot be opened, or was made by another version.
    """
    check_place(url)
    name = url.database or ""
    if _is_sqlite(url):
        path = Path(name)
        # A look at one local file, as opening it is.
        if not path.exists() or not path.stat().st_size:  # noqa: ASYNC240
            raise NoDatabaseError(f"there is no database {name!r} yet")
        url = url.set(database=f"file:{quote(name)}")
        url = url.update_query_dict({"uri": "true", **_access(path)})
    database = _connect(url, name)
    try:
        async with database.read() as connection:
            current = await connection.run_sync(_revision)
        _require_head(current, name)
    except BaseException:
        await database.close()
        raise
    return database


def _require_head(current: str | None, name: str) -> None:
    if current is None:
        raise NoDatabaseError(f"there is nothing of Tocsin in the database {name!r} yet")
    _refuse_newer(current)
    if current != HEAD:
        raise StoreError(
            f"the database has schema {current}, older than this version's {HEAD};"
            " `tocsin run` brings it up to date"
        )


def _access(path: Path) -> dict[str, str]:
    """Say how SQLite may open a file that exists."""
    folder = os.access(path.parent, os.W_OK)
    if folder and os.access(path, os.W_OK):
        return {"mode": "rw"}
    if folder or Path(f"{path}-wal").exists():
        return {"mode": "ro"}
    # Without its companion files, and no way to make them: nobody has it open.
    return {"mode": "ro", "immutable": "1"}


def _is_sqlite(url: URL) -> bool:
    return url.drivername.startswith("sqlite")


def _connect(url: URL, name: str, *, journal_mode: str | None = None) -> Database:
    try:
        if not _is_sqlite(url):
            engine = create_async_engine(url, pool_size=4, max_overflow=2, pool_pre_ping=True)
            writer = sa.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
            return Database(engine, writer, name)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"PostgreSQL needs {error.name!r}, which is not installed: see 'tocsin[postgresql]'"
        ) from error
    arguments = {"timeout": _BUSY_SECONDS, "isolation_level": None}
    engine = create_async_engine(url, pool_size=4, max_overflow=0, connect_args=arguments)
    _prepare_sqlite(engine.sync_engine, "BEGIN", journal_mode)
    writer = sa.create_engine(
        url.set(drivername="sqlite"),
        poolclass=sa.QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={**arguments, "check_same_thread": False},
    )
    _prepare_sqlite(writer, "BEGIN IMMEDIATE", journal_mode)
    return Database(engine, writer, name)


def check_place(url: URL) -> None:
    """Look whether a database can be where its URL says.

    Raises:
        StoreError: it is a file of a directory that does not exist, or is itself a directory.
    """
    path = Path(url.database or "")
    if not _is_sqlite(url):
        return
    if not path.parent.is_dir():
        raise StoreError(
            f"the directory {str(path.parent)!r} of the database does not exist; create it first"
        )
    if path.is_dir():
        raise StoreError(f"the database {str(path)!r} is a directory; name a file")


def _prepare_sqlite(engine: sa.Engine, begin: str, journal_mode: str | None) -> None:
    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # WAL lets others read while one writes; FULL makes each commit survive a power cut.
        if journal_mode is not None:
            cursor.execute(f"PRAGMA journal_mode={journal_mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


async def _migrate(database: Database, calls: Calls | None) -> None:
    async with database.read() as connection:
        current = await connection.run_sync(_revision)
    if current == HEAD:
        return
    if calls is not None:
        await calls.run(importlib.import_module, "alembic.command")
    await database.write(_bring_up_to_date)


def _bring_up_to_date(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    _refuse_newer(_revision(connection))
    _upgrade(connection)


def _refuse_newer(current: str | None) -> None:
    if current is not None and current > HEAD:
        raise StoreError(
            f"the database has schema {current}, newer than this version's {HEAD}; upgrade Tocsin"
        )


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return str(revision) if revision is not None else None


def _upgrade(connection: sa.Connection) -> None:
    # Imported here: alembic is large, and needed only where the schema is not up to date.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "tocsin.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
