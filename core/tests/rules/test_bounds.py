"""Memory stays bounded, whatever the events are, and what is let go is counted."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from rules.streams import Player, Spec, event, load, micros
from tocsin.models import Detection, IncidentEvent
from tocsin.rules import engine as engine_module
from tocsin.rules.engine import Engine
from tocsin.rules.groups import Bounds

FEW = Bounds(groups=100, events=50)


def keys(first: int, number: int, *, every: float = 0.001) -> Iterator[IncidentEvent]:
    """Make events of which no two belong to one group."""
    for index in range(first, first + number):
        yield event(index, index * every, source=f"host-{index}", metadata={"user": index})


def feed(player: Player, events: Iterator[IncidentEvent]) -> int:
    """Play events as a host does: the changes are taken after each batch."""
    batch: list[IncidentEvent] = []
    found = 0
    for one in events:
        batch.append(one)
        if len(batch) == 500:
            found += len(player.play(batch))
            player.engine.take_changes()
            batch.clear()
    return found


def objects(engine: Engine) -> int:
    """Count what an engine holds on to."""
    seen: dict[int, object] = {}
    found: list[object] = [engine]
    while found:
        one = found.pop()
        if id(one) in seen or isinstance(one, type | FunctionType | ModuleType):
            continue
        seen[id(one)] = one
        found += gc.get_referents(one)
    return len(seen)


RULES: dict[str, Spec] = {
    "window": {"group_by": ["source"], "window": {"count": {"gte": 2}, "within": "1h"}},
    "window that fires": {"group_by": ["source"], "window": {"count": {"gte": 1}, "within": "1h"}},
    "rises by itself": {"group_by": ["source"], "window": {"count": {"eq": 2}, "within": "1h"}},
    "at most so often": {"group_by": ["source"], "once_within": "7d"},
    "told when over": {"group_by": ["source"], "resolve_after": "7d"},
    "distinct": {"window": {"distinct": {"field": "metadata.user", "gte": 5}, "within": "1h"}},
    "many events": {"window": {"count": {"gte": 5}, "within": "1h"}},
    "components": {
        "window": {"count": {"gte": 5}, "within": "1h"},
        "min_components": 3,
    },
}


@pytest.mark.parametrize(
    ("name", "every"), [*((name, 0.001) for name in RULES), ("distinct", 0), ("told when over", 0)]
)
def test_memory_does_not_grow_with_the_number_of_keys(
    name: str, every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_TIMERS", 100)
    player = Player(Engine(load(RULES[name]), bounds=FEW))
    feed(player, keys(0, 1_500, every=every))
    before = objects(player.engine)
    feed(player, keys(1_500, 4_500, every=every))
    assert objects(player.engine) < before * 1.3


def test_the_least_recently_used_groups_are_let_go_and_counted() -> None:
    rules = load({"group_by": ["source"], "window": {"count": {"gte": 3}, "within": "1h"}})
    player = Player(Engine(rules, bounds=Bounds(groups=3)))
    order = ["a", "b", "b", "c", "a", "d", "e"]
    assert player.play([event(n, n, source=source) for n, source in enumerate(order)]) == []
    assert player.engine.groups == 3
    assert player.engine.statistics.let_go.groups == 2
    # Of `a` two events are still known, of `b` none.
    signals = player.play([event("a3", 10, source="a"), event("b3", 11, source="b")])
    assert [s.event_ids for s in signals if isinstance(s, Detection)] == [("0", "4", "a3")]


def test_each_rule_has_its_own_groups() -> None:
    window = {"count": {"gte": 2}, "within": "1h"}
    rules = load(*[{"group_by": ["source"], "window": window}] * 3)
    player = Player(Engine(rules, bounds=FEW))
    feed(player, keys(0, 1_000))
    assert player.engine.groups == 3 * FEW.groups
    assert player.engine.statistics.let_go.groups == 3 * (1_000 - FEW.groups)


def test_groups_that_matter_no_more_are_forgotten_without_being_counted() -> None:
    rules = load({"group_by": ["source"], "window": {"count": {"gte": 2}, "within": "1s"}})
    player = Player(Engine(rules))
    feed(player, keys(0, 1_000, every=0.1))
    assert player.engine.groups <= 21
    assert player.engine.statistics.let_go.groups == 0


def test_a_window_holds_so_many_events_and_the_rest_is_counted() -> None:
    rules = load({"window": {"count": {"gte": 3}, "within": "1h"}, "once_within": "0s"})
    player = Player(Engine(rules, bounds=FEW))
    signals = player.play([event(n, n) for n in range(200)])
    last = signals[-1]
    assert isinstance(last, Detection)
    assert last.event_ids == tuple(str(n) for n in range(200 - FEW.events, 200))
    assert player.engine.statistics.let_go.events == 200 - FEW.events


def test_a_threshold_above_the_bound_is_still_reached() -> None:
    rules = load({"window": {"count": {"gte": 150}, "within": "1h"}})
    player = Player(Engine(rules, bounds=FEW))
    signals = player.play([event(n, n) for n in range(200)])
    assert [s.event_ids[-1] for s in signals if isinstance(s, Detection)] == ["149"]


def test_a_distinct_threshold_above_the_bound_is_still_reached() -> None:
    spec = {"window": {"distinct": {"field": "metadata.user", "gte": 150}, "within": "1h"}}
    player = Player(Engine(load(spec), bounds=FEW))
    signals = player.play([event(n, n, metadata={"user": n}) for n in range(200)])
    assert [s.event_ids[-1] for s in signals if isinstance(s, Detection)] == ["149"]


def test_what_a_firing_stores_of_a_huge_key_is_small() -> None:
    player = Player(Engine(load({"group_by": ["source", "metadata.x"], "resolve_after": "1h"})))
    values = [
        "x" * 1_000_000,
        ["x"] * 10_000,
        {"deep": ["x" * 1_000_000]},
        10**4000,
        "\ud800" * 999,
    ]
    signals = player.play([event(n, n, metadata={"x": value}) for n, value in enumerate(values)])
    assert len({s.detection_id for s in signals if isinstance(s, Detection)}) == len(values)
    assert all(len(signal.model_dump_json()) < 2_000 for signal in signals)
    stored = player.engine.take_changes()["r0"]
    assert len(stored) == len(values)
    assert all(len(text) < 1_000 for text in stored)


def test_remembered_verdicts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_REMEMBERED", 10)
    rules = load({"when": {"event_type": "fail", "metadata.user": {"in": list(range(0, 90, 2))}}})
    more = load(*({"when": {"event_type": "fail", "metadata.user": {"gt": n}}} for n in range(90)))
    player = Player(Engine(rules + more[1:]))
    events = [event(n, n, metadata={"user": n % 100}) for n in range(300)]
    found = [len(player.play([one])) for one in events]
    assert found == [
        (n % 100 < 90 and n % 2 == 0) + min(n % 100, 90) - (n % 100 > 0) for n in range(300)
    ]
    assert all(len(route.known) <= 10 for route in player.engine._routes.values())


def test_held_events_leave_with_time() -> None:
    player = Player(Engine(load({}), allowed_lateness=1_000_000))
    feed(player, keys(0, 3_000))
    assert len(player.engine._held) <= 1_001
    player.engine.advance(micros(100))
    assert player.engine._held == []
