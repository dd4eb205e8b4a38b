"""An engine that was stopped and rebuilt goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.streams import (
    NO_EXPLANATION,
    START,
    Player,
    Spec,
    as_bytes,
    event,
    load,
    micros,
    specs,
    streams,
)
from tocsin.clock import to_micros
from tocsin.models import Cleared, Detection, IncidentEvent, Signal
from tocsin.rules.engine import Engine
from tocsin.rules.groups import Bounds
from tocsin.rules.schema import Rule

Firings = dict[str, dict[str, dict[str, Any]]]
SLACK = 40


class Host:
    """Keeps what a store would keep, and starts engines from it."""

    def __init__(
        self, rules: Sequence[Rule], lateness: int = 0, bounds: Bounds | None = None
    ) -> None:
        self._rules = rules
        self._lateness = lateness
        self._journal: list[IncidentEvent] = []
        self.firings: Firings = {}
        self.player = Player(Engine(rules, allowed_lateness=lateness, bounds=bounds))

    def play(self, events: Sequence[IncidentEvent]) -> list[Signal]:
        self._journal += events
        signals = self.player.play(events)
        self._checkpoint()
        return signals

    def advance(self, instant: int) -> list[Signal]:
        signals = self.player.engine.advance(instant)
        self._checkpoint()
        return signals

    def _checkpoint(self) -> None:
        for rule_id, groups in self.player.engine.take_changes().items():
            stored = self.firings.setdefault(rule_id, {})
            for text, firing in groups.items():
                if firing is None:
                    stored.pop(text, None)
                else:
                    stored[text] = firing

    def restart(self) -> None:
        old = self.player.engine
        if old.now is None:
            return
        self.player = Player(Engine(self._rules, allowed_lateness=self._lateness))
        oldest = old.now - old.reach
        replayed = [one for one in self._journal if to_micros(one.timestamp) >= oldest]
        assert self.player.play(replayed, mute=True) == []
        self.player.engine.restore(old.now, orjson.loads(orjson.dumps(self.firings)))


def run(
    rules: Sequence[Rule], parts: Sequence[tuple[list[IncidentEvent], int]], lateness: int, end: int
) -> tuple[list[Signal], list[Signal]]:
    """Run a stream through an engine that restarts after each part, and through one that does not.

    Each part is its events, and how much time passes after them.
    """
    restarted, undisturbed = Host(rules, lateness), Host(rules, lateness)
    results: list[list[Signal]] = []
    for host in (restarted, undisturbed):
        signals: list[Signal] = []
        for events, pause in parts:
            signals += host.play(events)
            now = host.player.engine.now
            if pause and now is not None:
                signals += host.advance(now + lateness + pause)
            if host is restarted:
                host.restart()
        signals += host.advance(end + lateness)
        results.append(signals + host.player.engine.finish())
    return results[0], results[1]


def cut(events: list[IncidentEvent], cuts: list[tuple[int, int]]) -> list[Any]:
    """Cut a stream into parts; time passes after a part no further than to the event after it."""
    parts, low = [], 0
    for place, pause in sorted({place % (len(events) + 1): pause for place, pause in cuts}.items()):
        gap = SLACK
        if 0 < place < len(events):
            after, before = events[place].timestamp, events[place - 1].timestamp
            gap = to_micros(after) - to_micros(before)
        parts.append((events[low:place], min(pause, gap)))
        low = place
    return [*parts, (events[low:], 0)]


CUTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from((0, 0, 1, 5, 30))), min_size=1, max_size=3
)


@given(st.lists(specs(), min_size=1, max_size=3), streams(), CUTS)
@settings(max_examples=100, deadline=None, phases=NO_EXPLANATION)
def test_in_order(rules: list[Spec], events: list[IncidentEvent], cuts: list[Any]) -> None:
    end = max((to_micros(e.timestamp) for e in events), default=START) + SLACK
    restarted, undisturbed = run(load(*rules), cut(events, cuts), 0, end)
    assert as_bytes(restarted) == as_bytes(undisturbed)


@given(st.lists(specs(), min_size=1, max_size=2), streams(), CUTS, st.data())
@settings(max_examples=60, deadline=None, phases=NO_EXPLANATION)
def test_with_events_that_are_held(
    rules: list[Spec], events: list[IncidentEvent], cuts: list[Any], data: st.DataObject
) -> None:
    delays = data.draw(
        st.lists(st.integers(0, 6), min_size=len(events), max_size=len(events)), label="delays"
    )
    arrival = sorted(
        zip(events, delays, strict=True), key=lambda pair: to_micros(pair[0].timestamp) + pair[1]
    )
    end = max((to_micros(e.timestamp) for e in events), default=START) + SLACK
    parts = cut([one for one, _ in arrival], cuts)
    restarted, undisturbed = run(load(*rules), parts, 6, end)
    assert as_bytes(restarted) == as_bytes(undisturbed)


# -- what the tests above need luck to meet ------------------------------------------------------


def times(signals: Sequence[Signal]) -> list[tuple[str, float]]:
    result: list[tuple[str, float]] = []
    for signal in signals:
        assert isinstance(signal, Detection | Cleared)
        at = signal.detected_at if isinstance(signal, Detection) else signal.at
        result.append((signal.kind, (to_micros(at) - START) / 1e6))
    return result


@pytest.mark.parametrize(
    "spec",
    [
        {"once_within": "1h"},
        {"window": {"count": {"gte": 1}, "within": "10s"}},
        {"window": {"count": {"gte": 2}, "within": "10s"}},
        {"window": {"count": {"gte": 2}, "within": "1h"}},
    ],
)
def test_quiet_is_counted_from_the_latest_event_not_from_the_firing(spec: Spec) -> None:
    rules = load({**spec, "resolve_after": "10m"})
    parts = [([event("a", 0), event("b", 1)], 0), ([event("c", 540)], 30_000_000)]
    restarted, undisturbed = run(rules, parts, 0, micros(5000))
    assert times(undisturbed)[-1] == ("cleared", 1140)
    assert times(restarted) == times(undisturbed)


def test_a_condition_that_time_alone_will_make_true_fires() -> None:
    rules = load({"window": {"count": {"lte": 2}, "within": "10s"}})
    restarted, undisturbed = run(rules, [([event(n, n) for n in range(3)], 0)], 0, micros(60))
    assert times(undisturbed) == [("detection", 0), ("detection", 10.000001)]
    assert times(restarted) == times(undisturbed)


def test_a_condition_that_falls_at_the_very_instant_of_the_stop_falls() -> None:
    rules = load({"window": {"count": {"gte": 2}, "within": "10s"}, "group_by": ["source"]})
    first = [event("a", 0), event("b", 5), event("tick", 10.000001, source="other")]
    restarted, undisturbed = run(rules, [(first, 0), ([event("c", 11)], 0)], 0, micros(11))
    assert times(undisturbed) == [("detection", 5), ("detection", 11)]
    assert times(restarted) == times(undisturbed)


def test_held_events_that_time_has_released_are_not_judged_again() -> None:
    parts = [([event("a", 0)], 20_000_000), ([event("b", 60)], 0)]
    restarted, undisturbed = run(load({}), parts, 10_000_000, micros(100))
    assert times(undisturbed) == [("detection", 0), ("detection", 60)]
    assert times(restarted) == times(undisturbed)


@given(specs(), streams(), CUTS, st.integers(1, 2))
@settings(max_examples=60, deadline=None, phases=NO_EXPLANATION)
def test_what_is_stored_is_what_the_engine_knows(
    spec: Spec, events: list[IncidentEvent], cuts: list[Any], most: int
) -> None:
    """Also of groups that are let go and come back, perhaps more than once in one batch."""
    host = Host(load(spec), bounds=Bounds(groups=most))
    for batch, _ in cut(events, cuts):
        host.play(batch)
        (state,) = host.player.engine._states
        known = {group.text: state._dump(group) for group in state._groups.values()}
        matters = {text: firing for text, firing in known.items() if firing is not None}
        stored = host.firings.get("r0", {})
        if "resolve_after" not in spec:  # only then does it matter when there was an event
            for firing in (*stored.values(), *matters.values()):
                firing.pop("seen", None)
        assert stored == matters


def test_a_group_that_is_let_go_twice_between_two_checkpoints_is_forgotten() -> None:
    spec = {"group_by": ["source"], "window": {"count": {"gte": 1}, "within": "1h"}}
    host = Host(load(spec), bounds=Bounds(groups=1))
    host.play([event(1, 1, source="a")])
    host.play([event(n, n, source=source) for n, source in enumerate("baba", start=2)])
    assert set(host.firings["r0"]) == {'["a"]'}
    host.play([event(n, n, source=source) for n, source in enumerate("bab", start=6)])
    assert set(host.firings["r0"]) == {'["b"]'}


def test_firings_of_rules_that_are_gone_are_left_out() -> None:
    engine = Engine(load({}))
    engine.restore(START, {"gone": {"[]": {}}})
    assert engine.groups == 0


def test_changes_are_given_once_and_end_with_none() -> None:
    player = Player(Engine(load({"resolve_after": "10s", "group_by": ["source"]})))
    player.play([event("a", 0)])
    ((text, firing),) = player.engine.take_changes()["r0"].items()
    assert (text, firing and firing["group"]) == ('["api"]', {"source": "api"})
    assert player.engine.take_changes() == {}
    player.engine.advance(micros(60))
    assert player.engine.take_changes() == {"r0": {'["api"]': None}}
