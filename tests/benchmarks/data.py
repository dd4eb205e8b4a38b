"""Rules and events for the benchmarks: the same on every run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from tocsin.models import IncidentEvent
from tocsin.rules.loader import load_text
from tocsin.rules.schema import Rule

START = datetime(2026, 1, 1, tzinfo=UTC)


def rules_text(rules: int, types: int) -> str:
    """Write a ruleset of so many counting rules, spread over so many event types."""
    parts = [
        f"""  - id: rule_{index}
    title: "{{count}} failures of {{source}}"
    incident_type: error_burst
    severity: high
    when:
      event_type: type_{index % types}
      metadata.status: {{gte: 500}}
      metadata.region: region_{index // types}
    group_by: [source]
    window: {{count: {{gte: 10}}, within: 5m}}"""
        for index in range(rules)
    ]
    return "\n".join(["ruleset: bench", "rules:", *parts]) + "\n"


def rules(number: int, types: int) -> tuple[Rule, ...]:
    """Load such a ruleset."""
    return load_text(rules_text(number, types)).rules


def fields(index: int, *, types: int, regions: int, hit_every: int) -> dict[str, object]:
    """Give the fields of an event; one in `hit_every` satisfies a rule's condition."""
    hit = index % hit_every == 0
    return {
        "event_id": f"evt-{index:09d}",
        "timestamp": START + timedelta(milliseconds=index),
        "event_type": f"type_{index // 3 % types}",
        "source": f"service-{index % 3}",
        "severity": "high" if hit else "low",
        "message": "request handled by the backend",
        "metadata": {
            "status": 503 if hit else 200,
            "region": f"region_{index // 7 % regions}",
            "latency_ms": index % 997 / 4,
            "user": f"user-{index % 5000}",
        },
    }


def events(number: int, *, types: int, regions: int, hit_every: int = 100) -> list[IncidentEvent]:
    """Make events."""
    made = (
        fields(index, types=types, regions=regions, hit_every=hit_every) for index in range(number)
    )
    return [IncidentEvent.model_validate(each) for each in made]


def write_events(path: Path, number: int, *, types: int, regions: int) -> None:
    """Write events as JSON lines."""
    with path.open("wb") as file:
        for index in range(number):
            made = fields(index, types=types, regions=regions, hit_every=100)
            file.write(orjson.dumps(made) + b"\n")
