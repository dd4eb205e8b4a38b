"""Matching in this process, against a hand-written loop over the same records and rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import orjson

from tests.benchmarks.data import events, rules
from tocsin.models import IncidentEvent
from tocsin.rules.engine import Engine
from tocsin.rules.matcher import InlineMatcher, load_engine

_RUNS = 5
_BATCH = 1000


def run(*, number: int = 30_000) -> dict[str, Any]:
    """Measure a hand-written loop, our matching with and without memory, and many rules."""
    few = events(number, types=10, regions=10)
    loop = _hand_written(100, 10)
    results = {
        "hand_written_loop": _rate(lambda: loop(few), number),
        "matching": _rate(_matching(100, 10, few), number),
        "matching_every_record_asked": _rate(_asking_always(100, 10, few), number),
    }
    many = events(number, types=100, regions=10)
    ten_rules = [*events(number, types=1, regions=10)]
    scale = {
        "10_rules_1_type": _rate(_matching(10, 1, ten_rules), number),
        "1000_rules_100_types": _rate(_matching(1000, 100, many), number),
    }
    return {
        "events_per_second": {name: round(rate) for name, rate in {**results, **scale}.items()},
        "ratio_to_hand_written_loop": round(results["matching"] / results["hand_written_loop"], 2),
        "ratio_without_remembered_verdicts": round(
            results["matching_every_record_asked"] / results["hand_written_loop"], 2
        ),
        "ratio_1000_rules_to_10": round(
            scale["1000_rules_100_types"] / scale["10_rules_1_type"], 2
        ),
        "wanted": {
            "ratio_to_hand_written_loop": "0.6 or more",
            "ratio_1000_rules_to_10": "0.5 or more",
        },
    }


def _rate(work: Callable[[], None], number: int) -> float:
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return number / median(times)


def _matching(number: int, types: int, stream: Sequence[IncidentEvent]) -> Callable[[], None]:
    engine = Engine(rules(number, types))
    matcher = InlineMatcher(engine.program)

    def work() -> None:
        for start in range(0, len(stream), _BATCH):
            prepared = engine.prepare(stream[start : start + _BATCH])
            engine.learn(prepared, matcher.judge(prepared.questions()))

    return work


def _asking_always(number: int, types: int, stream: Sequence[IncidentEvent]) -> Callable[[], None]:
    """Our records, with no verdict remembered."""
    program = Engine(rules(number, types)).program
    matcher = InlineMatcher(program)
    shards, by_type = program.shards, program.by_type

    def work() -> None:
        for event in stream:
            for index in by_type[event.event_type]:
                matcher.judge(((index, shards[index].project(event)),))

    return work


def _hand_written(number: int, types: int) -> Callable[[Sequence[IncidentEvent]], None]:
    """The straightforward use of the engine: encode, assert, drain, retract, sharded by type."""
    engine = load_engine()
    handles = {}
    for shard in range(types):
        definition = {
            f"r{index}": {
                "all": [
                    {
                        "m": {
                            "$and": [
                                {"$gte": {"status": 500}},
                                {"region": f"region_{index // types}"},
                            ]
                        }
                    }
                ]
            }
            for index in range(number)
            if index % types == shard
        }
        handles[f"type_{shard}"] = engine.create_ruleset(
            f"hand{shard}", orjson.dumps(definition).decode()
        )

    def work(stream: Sequence[IncidentEvent]) -> None:
        for event in stream:
            metadata = event.metadata
            fact = orjson.dumps(
                {"id": "0", "status": metadata["status"], "region": metadata["region"]}
            ).decode()
            handle = handles[event.event_type]
            handled, offset = engine.assert_fact(handle, fact)
            if handled == 1:
                continue
            result = engine.start_action_for_state(handle, offset)
            while result is not None:
                result = engine.complete_and_start_action(handle, offset)
            engine.retract_fact(handle, fact)

    return work
