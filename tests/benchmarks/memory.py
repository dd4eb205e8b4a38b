"""A million distinct group keys: memory stays within the configured cap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psutil

from tests.benchmarks.data import START
from tocsin.models import IncidentEvent
from tocsin.rules.engine import Engine
from tocsin.rules.groups import Bounds
from tocsin.rules.loader import load_text
from tocsin.rules.matcher import InlineMatcher

_RULES = """
ruleset: keys
rules:
  - id: by_user
    title: "{count} failures"
    incident_type: error_burst
    severity: high
    when: {event_type: failed}
    group_by: [metadata.user]
    window: {count: {gte: 3}, within: 1h}
"""
_BATCH = 1000


def run(*, number: int = 1_000_000, groups: int = 50_000) -> dict[str, Any]:
    """Measure the memory of the engine over so many keys."""
    engine = Engine(load_text(_RULES).rules, bounds=Bounds(groups=groups))
    matcher = InlineMatcher(engine.program)
    process = psutil.Process()
    sizes: list[float] = []
    before = process.memory_info().rss
    for start in range(0, number, _BATCH):
        batch = [
            IncidentEvent(
                event_id=f"e{index}",
                timestamp=START + timedelta(milliseconds=index),
                event_type="failed",
                source="login",
                metadata={"user": f"user-{index}"},
            )
            for index in range(start, start + _BATCH)
        ]
        prepared = engine.prepare(batch)
        engine.learn(prepared, matcher.judge(prepared.questions()))
        engine.apply(prepared)
        if start % (number // 10) == 0:
            sizes.append((process.memory_info().rss - before) / 1024**2)
    return {
        "keys": number,
        "cap": groups,
        "groups": engine.groups,
        "let_go": engine.statistics.let_go.groups,
        "added_mb_over_time": [round(size) for size in sizes],
        "wanted": {"groups": "at most the cap", "added_mb_over_time": "flat"},
    }
