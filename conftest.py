"""Fixtures that the tests of every package share."""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = "127.0.0.1:5432"
# The empty one stands for the user's own name: Homebrew's servers have that role and no postgres.
POSTGRES_ROLES = ("postgres@", "")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for a database or the sample data, so that nobody has to do both."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "postgres_url" in fixtures:
            item.add_marker("postgres")
        if "data_dir" in fixtures:
            item.add_marker("data")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose server does not answer."""
    if item.get_closest_marker("postgres"):
        _postgres_server()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty PostgreSQL database that only this test uses."""
    server = _postgres_server()
    name = f"tocsin_test_{uuid.uuid4().hex}"
    # The same on every server, whatever its defaults; only template0 can be copied so.
    _administer(server, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", name)
    yield f"postgresql+psycopg://{server}/{name}"
    _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Give the folder of sample data that lies beside the repository."""
    default = Path(__file__).parent.parent / "shared" / "data"
    folder = Path(os.environ.get("TOCSIN_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}; TOCSIN_DATA can name another folder")
    return folder


def _postgres_server() -> str:
    """Give `ROLE@HOST:PORT` of the server, or end the test."""
    server, problem = _find_postgres_server()
    if not server:
        message = f"no PostgreSQL at {POSTGRES}: {problem}"
        if os.environ.get("TOCSIN_REQUIRE_SERVICES") == "1":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return server


@cache
def _find_postgres_server() -> tuple[str, str]:
    """Give the server as the first role that it lets in, and otherwise what it said."""
    problems = []
    for role in POSTGRES_ROLES:
        server = f"{role}{POSTGRES}"
        try:
            _connect(server).close()
        except psycopg.OperationalError as error:
            problems.append(str(error).splitlines()[0])
        else:
            return server, ""
    return "", problems[0]


def _administer(server: str, statement: str, database: str) -> None:
    with _connect(server) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(database)))


def _connect(server: str) -> psycopg.Connection:
    return psycopg.connect(f"postgresql://{server}/postgres", autocommit=True, connect_timeout=3)
