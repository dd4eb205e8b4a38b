"""Databases that cannot be used: every command says so in a line."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from cli.support import cli, event, ok, without_privileges, write_lines

COMMANDS = (
    "status",
    "events list",
    "incidents list",
    "incidents stats",
    "events submit events.jsonl",
    "simulate --type error_burst",
    "run --for 0s",
)


@pytest.fixture(autouse=True)
def _events(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1)])


def use(home: Path, database: str) -> None:
    text = f"database: {json.dumps(database)}\nrulesets: [rules.yaml]\n"
    more = "incident_response: {detection: {isolation: inline}, notifications: {}}\n"
    (home / "tocsin.yaml").write_text(text + more, encoding="utf-8")


def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def trouble(command: str) -> str:
    """Run a command that cannot work; gives the one line that it says."""
    outcome = cli(command)
    assert outcome.code in (1, 2), outcome
    assert outcome.err.startswith("tocsin: "), outcome
    assert outcome.err.count("\n") == 1, outcome
    return outcome.err


@pytest.mark.parametrize("command", [*COMMANDS, "rules disable disk_full"])
@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("folder", "the database 'folder' is a directory; name a file"),
        ("rules.yaml", "fails: file is not a database"),
        ("mysql://user:hunter2@host/name", "database 'mysql' is not supported"),
        ("sqlite:///:memory:", "a database in memory would lose what was accepted; name a file"),
    ],
)
def test_what_is_no_database(home: Path, command: str, database: str, said: str) -> None:
    (home / "folder").mkdir()
    use(home, database)
    assert said in trouble(command)


@pytest.mark.parametrize("command", ["events submit events.jsonl", "run --for 0s"])
def test_a_folder_that_is_not_there_is_not_made(home: Path, command: str) -> None:
    use(home, "nowhere/tocsin.db")
    assert trouble(command) == (
        "tocsin: the directory 'nowhere' of the database does not exist; create it first\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_not_there(home: Path, command: str) -> None:
    use(home, f"postgresql://user:hunter2@127.0.0.1:{closed_port()}/name")
    said = trouble(command)
    assert "the database" in said
    assert "127.0.0.1" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("command", [*COMMANDS, "config show", "config check"])
def test_an_address_with_a_port_that_is_no_number(home: Path, command: str) -> None:
    use(home, "postgresql://user:hunter2@127.0.0.1:port/name")
    outcome = cli(command)
    assert "Traceback" not in outcome.err
    assert "hunter2" not in outcome.out + outcome.err


def test_a_failing_database_is_named(home: Path) -> None:
    use(home, "rules.yaml")
    assert "rules.yaml" in trouble("status")


@pytest.mark.parametrize("command", ["rules list", "rules show disk_full"])
def test_rules_do_not_look_unchanged_where_their_changes_cannot_be_read(
    home: Path, command: str
) -> None:
    use(home, "rules.yaml")
    outcome = cli(command)
    assert outcome.code != 0 or "rules.yaml" in outcome.err


def test_a_database_that_may_only_be_read(world: Path) -> None:
    (world / "tocsin.db").chmod(0o444)
    world.chmod(0o555)
    try:
        listed = without_privileges("incidents list --format json")
        stream = without_privileges("status --format json").json()["streams"][0]
        refused = without_privileges("events submit events.jsonl")
    finally:
        world.chmod(0o755)
    assert (listed.code, listed.err, len(listed.json())) == (0, "", 3)
    assert (stream["accepted"], stream["running"]) == (6, False)
    assert refused.code == 1, refused
    assert "readonly" in refused.err


def test_a_lock_of_somebody_else_does_not_mean_that_the_daemon_runs(world: Path) -> None:
    (world / "tocsin.db.main.lock").chmod(0)
    stream = without_privileges("status --format json").json()["streams"][0]
    assert stream["running"] is None


@pytest.mark.parametrize("command", ["status", "events list", "incidents stats"])
def test_looking_makes_nothing_of_an_empty_file(home: Path, command: str) -> None:
    (home / "tocsin.db").touch()
    assert "there is no database 'tocsin.db' yet" in trouble(command)
    assert (home / "tocsin.db").stat().st_size == 0


def test_looking_changes_nothing_of_a_database_of_others(home: Path) -> None:
    with contextlib.closing(sqlite3.connect(home / "tocsin.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = (home / "tocsin.db").read_bytes()
    said = trouble("status")
    assert "there is nothing of Tocsin in the database 'tocsin.db' yet: `tocsin run`" in said
    assert (home / "tocsin.db").read_bytes() == before


def test_without_the_driver_of_postgresql(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    use(home, "postgresql://127.0.0.1:1/name")
    assert "'psycopg', which is not installed: see 'tocsin[postgresql]'" in trouble("status")


def test_looking_leaves_nothing_behind_that_another_user_could_not_open(world: Path) -> None:
    """A look by root must not keep the daemon's own user from starting."""
    lock = world / "tocsin.db.main.lock"
    lock.unlink()
    ok("status")
    assert not lock.exists() or lock.stat().st_mode & 0o060
