"""Stopped or killed anywhere, and started again: the results are those of an undisturbed run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from manager.support import Spec, clock_at, event, result_of, running, settings, stored
from tocsin import IncidentEvent
from tocsin.capabilities import DetectorPlugin
from tocsin.hookspecs import hookimpl

COUNT = {"group_by": ["source"], "window": {"count": {"gte": 3}, "within": "1m"}}
RULES: tuple[Spec, ...] = (
    COUNT,
    {**COUNT, "once_within": "30s", "resolve_after": "2m"},
    {
        "group_by": ["metadata.region"],
        "window": {"distinct": {"field": "source", "gte": 3}, "within": "2m"},
        "escalate": [{"if": {"distinct": {"field": "source", "gte": 4}}, "severity": "high"}],
    },
    {"when": {"event_type": "alarm"}, "once_within": "1m", "severity": "medium"},
    {
        "when": {"event_type": {"in": ["fail", "alarm"]}},
        "resolve_after": "20s",
        "escalate": [{"if": {"lasting": "1m"}, "severity": "critical"}],
    },
)


def stream(seed: int, count: int) -> list[IncidentEvent]:
    """Make events of bursts and pauses, some of them a little late."""
    rolls = random.Random(seed)
    at, events = 0.0, []
    for number in range(count):
        at += rolls.choice((0, 0, 1, 2, 5, 10, 40))
        late = rolls.choice((0, 0, 0, 0, 7, 30))
        events.append(
            event(
                number,
                max(at - late, 0),
                source=f"s{rolls.randint(0, 4)}",
                event_type=rolls.choice(("fail", "fail", "fail", "alarm", "ok")),
                metadata={"region": rolls.choice(("eu", "us", None))},
            )
        )
    return events


async def play(
    config: dict[str, Any], parts: Sequence[Sequence[IncidentEvent]], *, end: str
) -> list[dict[str, Any]]:
    """Submit parts, ending the manager after each, and give all incidents."""
    for part in parts:
        async with running(config, clock=clock_at(10**6)) as manager:
            await manager.submit_events(part)
            if end == "stop":
                continue
            if end == "crash":
                await manager.check_for_incidents()
            await manager._tear_down()
    async with running(config, clock=clock_at(10**6)) as manager:
        await manager.check_for_incidents()
    return result_of(await stored(config["database"]))


def cut(events: Sequence[IncidentEvent], seed: int) -> list[Sequence[IncidentEvent]]:
    rolls = random.Random(seed)
    parts, low = [], 0
    while low < len(events):
        high = low + rolls.randint(1, 12)
        parts.append(events[low:high])
        low = high
    return parts


# An hour: nothing in these tests waits for time alone, whose passing is the machine's.
QUIET: dict[str, Any] = {"idle_after": "1h"}


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "crash", "crash at once"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_in_parts_as_in_one(tmp_path: Path, seed: int, end: str) -> None:
    events = stream(seed, 120)
    whole = settings(tmp_path, *RULES, database=str(tmp_path / "whole.db"), **QUIET)
    parts = {**whole, "database": str(tmp_path / "parts.db")}
    undisturbed = await play(whole, [events], end="stop")
    assert len(undisturbed) > 10
    assert await play(parts, cut(events, seed), end=end) == undisturbed


@pytest.mark.slow
@pytest.mark.postgres
async def test_on_postgresql_as_on_sqlite(tmp_path: Path, postgres_url: str) -> None:
    events = stream(3, 150)
    on_sqlite = settings(tmp_path, *RULES, **QUIET)
    on_postgresql = {**on_sqlite, "database": postgres_url}
    expected = await play(on_sqlite, [events], end="stop")
    assert len(expected) > 10
    assert await play(on_postgresql, cut(events, 3)[:6], end="crash") != expected
    assert await play(on_postgresql, cut(events, 3)[6:], end="crash") == expected


async def test_a_window_goes_on(store_url: str, tmp_path: Path) -> None:
    config = settings(tmp_path, COUNT, database=store_url)
    for number in range(3):
        async with running(config) as manager:
            await manager.submit_event(event(number, number))
            found = await manager.check_for_incidents()
            assert len(found) == (1 if number == 2 else 0)
    assert [one.event_id for one in found[0].events] == ["0", "1", "2"]


async def test_an_incident_goes_on(store_url: str, tmp_path: Path) -> None:
    rule = {
        **COUNT,
        "once_within": "5s",
        "escalate": [{"if": {"count": {"gte": 5}}, "severity": "high"}],
    }
    config = settings(tmp_path, rule, database=store_url)
    for number in range(8):
        async with running(config) as manager:
            await manager.submit_event(event(number, number))
    (incident,) = await stored(store_url)
    assert (incident.event_count, incident.severity) == (8, "high")
    assert (incident.detection_count, incident.detected_at) == (2, event("x", 2).timestamp)
    assert sorted(one.event_id for one in incident.events) == sorted(map(str, range(8)))


async def test_what_is_resolved_takes_nothing_in(tmp_path: Path) -> None:
    config = settings(tmp_path, {"group_by": ["source"]})
    async with running(config) as manager:
        await manager.submit_event(event("a"))
        (first,) = await manager.check_for_incidents()
        await manager.process_incident(first)
    for name in "bc":
        async with running(config) as manager:
            await manager.submit_event(event(name, 5))
            assert len(await manager.check_for_incidents()) == (1 if name == "b" else 0)
    one, two = await stored(config["database"])
    assert (one.event_count, two.event_count) == (1, 2)


@pytest.mark.parametrize("restarts", [False, True])
async def test_several_detections_at_one_instant(tmp_path: Path, restarts: bool) -> None:
    """Windows overlap, and each event counts once, before a start and after."""
    rule = {"window": {"count": {"gte": 3}, "within": "5m"}, "once_within": "0s"}
    config = settings(tmp_path, rule)
    events = [event(number) for number in range(8)]
    await play(config, [[e] for e in events] if restarts else [events], end="stop")
    (incident,) = await stored(config["database"])
    assert (incident.event_count, incident.detection_count) == (8, 6)


class Odd:
    """A detector with a memory: it counts."""

    made: list[Odd]

    def __init__(self) -> None:
        self.count = 0

    def observe(self, _event: IncidentEvent) -> Sequence[Any]:
        self.count += 1
        return ()

    def dump(self) -> bytes:
        return str(self.count).encode()

    def load(self, state: bytes) -> None:
        self.count = int(state)


class OddPlugin:
    def __init__(self) -> None:
        self.made: list[Odd] = []

    @hookimpl
    def tocsin_detectors(self) -> Any:
        def make(_params: object) -> Odd:
            self.made.append(Odd())
            return self.made[-1]

        yield DetectorPlugin(name="odd", summary="Counts.", factory=make)


async def test_a_detector_remembers(tmp_path: Path) -> None:
    plugin = OddPlugin()
    config = settings(tmp_path, {"when": {"event_type": "never"}}, top={"detectors": {"odd": {}}})
    for number in range(4):
        async with running(config, plugins=[plugin]) as manager:
            for part in range(3):
                await manager.submit_event(event(f"{number}.{part}", number))
                await manager.check_for_incidents()
            assert plugin.made[-1].count == 3 * (number + 1)
