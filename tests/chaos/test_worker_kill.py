"""With its rules' process killed at random moments, a manager comes to the same as without."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.test_kill import results
from tocsin import IncidentEvent, IncidentManager

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = 3000


def rules() -> dict[str, Any]:
    """Make rules with so many constants that nearly every event is a question of its own."""
    made = [
        {
            "id": f"area{number}",
            "title": "{count} of {source}",
            "incident_type": "error_burst",
            "severity": "high",
            "when": {
                "event_type": "error",
                "metadata.a": {"gte": 5 * number},
                "metadata.b": {"lt": 100 - 4 * number},
                "metadata.c": {"gte": 3 * number, "lt": 100 - number},
            },
            "group_by": ["source"],
            "window": {"count": {"gte": 3}, "within": "1m"},
            "resolve_after": "1m",
        }
        for number in range(15)
    ]
    return {"ruleset": "chaos", "rules": made}


def events() -> list[IncidentEvent]:
    chance = random.Random(11)
    return [
        IncidentEvent(
            event_id=f"e{number}",
            timestamp=START + timedelta(seconds=number),
            event_type=chance.choice(("error", "error", "calm")),
            source=f"s{chance.randrange(3)}",
            metadata={name: chance.randrange(100) for name in "abc"},
        )
        for number in range(NUMBER)
    ]


async def kill_now_and_then(killed: list[int]) -> None:
    """End the rules process at random moments: idle, judging or starting."""
    chance = random.Random(5)
    for _ in range(12):
        await asyncio.sleep(chance.choice((0.0, 0.1, 0.4, 0.8, 1.2)))
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "tocsin.rules.worker" in child.cmdline():
                    child.send_signal(signal.SIGKILL)
                    killed.append(child.pid)


async def run(folder: Path, name: str, isolation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put all events through; gives the results and the manager's figures."""
    file, database = folder / "rules.yaml", str(folder / name)
    file.write_text(json.dumps(rules()))
    detection = {"isolation": isolation, "idle_after": "1h", "max_ahead": "3650d"}
    config = {
        "database": database,
        "rulesets": [str(file)],
        "incident_response": {"detection": detection, "notifications": {}},
    }
    stream = events()
    async with IncidentManager(config) as manager:
        for low in range(0, NUMBER, 25):
            await manager.submit_events(stream[low : low + 25])
            if isolation == "process":
                await asyncio.sleep(0.05)  # else it is over before anything is killed
        await manager.check_for_incidents()
        figures = manager.get_statistics()
    return await results(database), figures


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_killed_workers_change_nothing(tmp_path: Path) -> None:
    expected, _ = await run(tmp_path, "undisturbed.db", "inline")
    assert len(expected["incidents"]) > 20
    killed: list[int] = []
    killer = asyncio.create_task(kill_now_and_then(killed))
    try:
        found, figures = await run(tmp_path, "killed.db", "process")
    finally:
        killer.cancel()
    assert len(set(killed)) >= 4
    assert figures["engine"]["worker_replacements"] >= 2
    assert figures["events"]["quarantined"] == 0
    assert found == expected
