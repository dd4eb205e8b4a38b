"""Killed at random moments, a host loses nothing that was accepted and doubles nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.chaos.host import NUMBER, RULES, events
from tocsin.store.database import database_url, open_database
from tocsin.store.journal import decode
from tocsin.store.queries import IncidentFilter, get_incident, list_incidents

KILLS = int(os.environ.get("TOCSIN_KILLS", "10"))
"""`make chaos` kills fifty times; each kill is a process that starts and recovers."""
HOST = Path(__file__).with_name("host.py")


def settings(database: str, folder: Path) -> dict[str, Any]:
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    # The machine's time must not matter: neither that it passes nor that it is past the events'.
    detection = {"idle_after": "1h", "max_ahead": "3650d", "event_retention_seconds": 10**8}
    return {
        "database": database,
        "rulesets": [str(rules)],
        "incident_response": {"detection": detection, "notifications": {}},
    }


def start(config: dict[str, Any], acknowledged: Path, seed: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, str(HOST), json.dumps(config), str(acknowledged), str(seed)]
    return subprocess.Popen(arguments)


def wait_for_the_moment(
    chance: random.Random, process: subprocess.Popen[bytes], acknowledged: Path
) -> None:
    """Wait until some more events are acknowledged and a little longer; at times, not at all."""
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0.1, 1.5))  # while it starts, or recovers
        return
    before = acknowledged.stat().st_size if acknowledged.exists() else 0
    wanted = before + chance.randrange(1, 700)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        if acknowledged.exists() and acknowledged.stat().st_size >= wanted:
            break
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.02))


def finish(config: dict[str, Any], acknowledged: Path, seed: int) -> None:
    process = start(config, acknowledged, seed)
    assert process.wait(120) == 0


async def results(database: str) -> dict[str, Any]:
    """Read everything that the events led to."""
    opened = await open_database(database_url(database))
    try:
        async with opened.read() as connection:
            rows = await connection.execute(
                sa.text("SELECT detection_id, incident_id, body FROM detections ORDER BY 1, 2")
            )
            detections = [tuple(row) for row in rows]
        found = await list_incidents(opened, IncidentFilter())
        whole = [await get_incident(opened, incident.id) for incident in found]
    finally:
        await opened.close()
    return {
        "detections": detections,
        "incidents": sorted(one.model_dump_json() for one in whole if one is not None),
    }


async def journal_ids(database: str) -> list[str]:
    opened = await open_database(database_url(database))
    try:
        async with opened.read() as connection:
            rows = await connection.execute(sa.text("SELECT body FROM journal ORDER BY position"))
            return [event.event_id for row in rows for event in decode(bytes(row.body))]
    finally:
        await opened.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_kills(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = str(tmp_path / "killed.db")
    if kind == "postgresql":
        database = request.getfixturevalue("postgres_url")
    undisturbed = str(tmp_path / "undisturbed.db")
    config = settings(database, tmp_path)
    acknowledged = tmp_path / "acknowledged"
    chance = random.Random(99)

    killed = 0
    for seed in range(KILLS):
        process = start(config, acknowledged, seed)
        wait_for_the_moment(chance, process, acknowledged)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(30)
    told = len(acknowledged.read_text().split()) if acknowledged.exists() else 0
    finish(config, acknowledged, KILLS)
    finish(settings(undisturbed, tmp_path), tmp_path / "all", 1)

    assert killed >= KILLS * 0.6, "the stream is too short for so many kills"
    assert told > 0
    ids = await journal_ids(database)
    assert len(ids) == len(set(ids)) == NUMBER
    assert ids == [event.event_id for event in events()]
    expected = await results(undisturbed)
    assert len(expected["detections"]) > 100
    assert len(expected["incidents"]) > 5
    assert await results(database) == expected
