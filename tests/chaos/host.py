"""A host that submits a fixed stream of events and writes down what was acknowledged.

Usage: python host.py CONFIG_JSON ACKNOWLEDGED_FILE SEED
It goes on behind the last acknowledged event, repeating a few, and ends when all are acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tocsin import IncidentEvent, IncidentManager

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = 4000
RULES = """
ruleset: chaos
rules:
  - id: burst
    title: "{count} errors of {source}"
    incident_type: error_burst
    severity: high
    when: {event_type: error}
    group_by: [source]
    window: {count: {gte: 6}, within: 30s}
    once_within: 40s
    escalate: [{if: {count: {gte: 9}}, severity: critical}]
    resolve_after: 60s
  - id: users
    title: "{distinct} users failed"
    incident_type: security_breach
    severity: medium
    when: {event_type: error, metadata.user: {exists: true}}
    window: {distinct: {field: metadata.user, gte: 7}, within: 45s}
    resolve_after: 50s
  - id: alarm
    title: "{source} rings"
    incident_type: service_down
    severity: low
    when: {event_type: alarm}
    group_by: [source]
    once_within: 20s
"""


def events() -> list[IncidentEvent]:
    """Make the stream, the same every time: bursts, quiet, some out of order."""
    chance = random.Random(7)
    made, second = [], 0.0
    for number in range(NUMBER):
        second += chance.choice((0.1, 0.5, 1.0, 2.0, 9.0 if number % 50 == 0 else 0.3))
        at = second - (chance.random() * 8 if chance.random() < 0.1 else 0)
        metadata = {"user": f"u{chance.randrange(12)}"} if chance.random() < 0.5 else {}
        made.append(
            IncidentEvent(
                event_id=f"e{number}",
                timestamp=START + timedelta(seconds=at),
                event_type=chance.choice(("error", "error", "calm", "calm", "calm", "alarm")),
                source=f"s{chance.randrange(5)}",
                metadata=dict(metadata),
            )
        )
    return made


async def main(config: dict[str, object], acknowledged: Path, seed: int) -> None:
    chance = random.Random(seed)
    stream = events()
    done = len(acknowledged.read_text().split()) if acknowledged.exists() else 0
    position = max(0, done - chance.randrange(30))
    with acknowledged.open("a") as file:
        async with IncidentManager(config) as manager:
            while position < len(stream):
                size = chance.choice((1, 1, 3, 20, 60))
                batch = stream[position : position + size]
                if len(batch) == 1:
                    await manager.submit_event(batch[0])
                else:
                    await manager.submit_events(batch)
                position += len(batch)
                file.writelines(f"{event.event_id}\n" for event in stream[done:position])
                done = max(done, position)
                file.flush()
                os.fsync(file.fileno())
            await manager.check_for_incidents()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
