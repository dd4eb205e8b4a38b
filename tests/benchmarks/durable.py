"""The durable path: batches into an SQLite file, and the way from an event to its incident."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.benchmarks.data import START, events, rules_text
from tocsin import IncidentEvent, IncidentManager, hookimpl

_RUNS = 3
_BATCH = 500
_ALARM = """
ruleset: alarm
rules:
  - id: alarm
    title: "{source} rings"
    incident_type: service_down
    severity: critical
    when: {event_type: alarm}
    group_by: [source]
    window: {count: {gte: 1}, within: 1s}
"""


def run(*, number: int = 100_000, seconds: int = 10) -> dict[str, Any]:
    """Measure both."""
    stream = events(number, types=10, regions=10)
    runs = [asyncio.run(_batches(stream)) for _ in range(_RUNS)]
    latencies = asyncio.run(_latency(seconds))
    cuts = quantiles(latencies, n=100)
    return {
        "submit_events": {
            "batch": _BATCH,
            "events_per_second_accepted": round(number / median(each[0] for each in runs)),
            "events_per_second_evaluated": round(number / median(each[1] for each in runs)),
            "longest_loop_block_ms": round(max(each[2] for each in runs) * 1000, 1),
        },
        "submit_event_to_incident_ms": {
            "events_per_second": 1000,
            "incidents": len(latencies),
            "p50": round(cuts[49] * 1000, 2),
            "p99": round(cuts[98] * 1000, 2),
        },
        "wanted": {
            "events_per_second_accepted": "50000 or more",
            "longest_loop_block_ms": "under 50",
            "p99": "under 20",
        },
    }


async def _batches(stream: list[IncidentEvent]) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(rules_text(100, 10))
        config: dict[str, Any] = {"database": f"{folder}/t.db", "rulesets": [str(rules)]}
        config["incident_response"] = {"detection": {"max_ahead": "3650d"}}
        blocks: list[float] = []
        async with IncidentManager(config) as manager:
            ticker = asyncio.create_task(_watch(blocks))
            start = time.perf_counter()
            for first in range(0, len(stream), _BATCH):
                await manager.submit_events(stream[first : first + _BATCH])
            accepted = time.perf_counter() - start
            await manager.check_for_incidents()
            evaluated = time.perf_counter() - start
            ticker.cancel()
        return accepted, evaluated, max(blocks)


async def _watch(blocks: list[float]) -> None:
    """Note how long the loop was away between two turns."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        blocks.append(now - last - 0.001)
        last = now


async def _latency(seconds: int) -> list[float]:
    """Submit 1,000 events a second, one in a hundred of which opens an incident at once."""
    stored: dict[str, float] = {}

    class Listener:
        @hookimpl
        async def tocsin_detected(self, detection: Any) -> None:
            stored[detection.event_ids[0]] = time.perf_counter()

    submitted: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(_ALARM)
        config: dict[str, Any] = {"database": f"{folder}/t.db", "rulesets": [str(rules)]}
        config["incident_response"] = {"detection": {"max_ahead": "3650d"}, "notifications": {}}
        async with IncidentManager(config, plugins=[Listener()]) as manager:
            start = time.perf_counter()
            tasks = set()
            for index in range(seconds * 1000):
                delay = start + index / 1000 - time.perf_counter()
                if delay > 0:
                    await asyncio.sleep(delay)
                alarm = index % 100 == 50
                event = IncidentEvent(
                    event_id=f"e{index}",
                    timestamp=START.replace(microsecond=0),
                    event_type="alarm" if alarm else "calm",
                    source=f"bell-{index}",
                )
                if alarm:
                    submitted[event.event_id] = time.perf_counter()
                task = asyncio.create_task(manager.submit_event(event))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
            await manager.check_for_incidents()
    return [stored[event_id] - at for event_id, at in submitted.items()]
