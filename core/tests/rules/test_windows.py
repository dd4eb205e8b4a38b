"""Windows against a model that looks at every microsecond, and what must not change the outcome."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
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
    play,
    specs,
    streams,
)
from tocsin.clock import to_micros
from tocsin.durations import parse_duration
from tocsin.models import Cleared, Detection, Escalation, IncidentEvent, IncidentSeverity, Signal
from tocsin.models.events import component_of
from tocsin.rules.engine import Engine

SLACK = 40
"""Microseconds that pass after the last event."""
Summary = tuple[Any, ...]


# -- the model -----------------------------------------------------------------------------------


@dataclass
class Memory:
    """What the model remembers of one rule and group."""

    kept: list[IncidentEvent] = field(default_factory=list)
    on: bool = False
    since: int = 0
    fired_at: int = 0
    told: IncidentSeverity | None = None
    """The severity told last; None before the first detection, and after the end was told."""
    seen: int = 0


class Model:
    """One rule, by its words: slow, and without a thought on memory."""

    def __init__(self, number: int, spec: Spec) -> None:
        self.rule_id = f"r{number}"
        self.spec = spec
        self.window: dict[str, Any] | None = spec.get("window")
        self.groups: dict[tuple[Any, ...], Memory] = {}

    def _span(self, name: str) -> int | None:
        return parse_duration(self.spec[name]) if name in self.spec else None

    def _group(self, found: IncidentEvent) -> tuple[Any, ...]:
        values = {"source": found.source, "metadata.zone": found.metadata["zone"]}
        return tuple(values[name] for name in self.spec.get("group_by", ()))

    def _interrupts(self, found: IncidentEvent) -> bool:
        consecutive = self.spec.get("require_consecutive", False)
        return consecutive is True or (bool(consecutive) and found.event_type == "fine")

    def _in_window(self, memory: Memory, instant: int) -> list[IncidentEvent]:
        assert self.window is not None
        start = instant - parse_duration(self.window["within"])
        return [found for found in memory.kept if start <= to_micros(found.timestamp) <= instant]

    def _values(self, inside: Sequence[IncidentEvent]) -> dict[str, int]:
        # `True` and `1` are different users, so their kind is part of the value.
        users = [found.metadata.get("user") for found in inside]
        values = {
            "count": len(inside),
            "distinct": len({(type(user), user) for user in users if user is not None}),
            "components": len({component_of(found) for found in inside}),
        }
        named = {*(self.window or ())} | (
            {"components"} if "min_components" in self.spec else set()
        )
        return {name: value for name, value in values.items() if name in named}

    def _true(self, inside: Sequence[IncidentEvent]) -> bool:
        assert self.window is not None
        values = self._values(inside)
        limits: dict[str, Any] = {
            name: self.window[name] for name in ("count", "distinct") if name in self.window
        }
        if "min_components" in self.spec:
            limits["components"] = {"gte": self.spec["min_components"]}
        return bool(inside) and all(_within(values[name], limits[name]) for name in limits)

    def _severity(
        self, memory: Memory, at: int, values: dict[str, int], found: IncidentEvent | None
    ) -> IncidentSeverity:
        reached = [IncidentSeverity.LOW]
        for step in self.spec.get("escalate", ()):
            condition = step["if"]
            met = [
                _within(values[n], condition[n]) for n in ("count", "distinct") if n in condition
            ]
            if "lasting" in condition:
                met.append(at - memory.since >= parse_duration(condition["lasting"]))
            if "when" in condition:
                met.append(found is not None and found.metadata["bad"] is True)
            if all(met):
                reached.append(IncidentSeverity(step["severity"]))
        return max(reached)

    def _fire(
        self, group: Summary, memory: Memory, at: int, found: IncidentEvent | None
    ) -> Summary:
        inside = self._in_window(memory, at) if self.window else [found] if found else []
        values = self._values(inside) if self.window else {}
        memory.fired_at = at
        memory.told = self._severity(memory, at, values, found)
        ids = tuple(one.event_id for one in inside)
        components = tuple(sorted({component_of(one) for one in inside}))
        return ("detection", self.rule_id, group, at, memory.told, values, ids, components)

    def _begin(self, memory: Memory, at: int) -> None:
        """Note when the condition became true; where an end is told, it lasts until then."""
        if memory.told is None or "resolve_after" not in self.spec:
            memory.since = at

    def observe(self, found: IncidentEvent, at: int) -> Iterator[Summary]:
        """Take an event."""
        group = self._group(found)
        memory = self.groups.setdefault(group, Memory())
        planned = "unless" in self.spec and found.metadata["planned"] is True
        if found.event_type != "fail" or planned:
            if self._interrupts(found):
                memory.kept, memory.on = [], False
            return
        memory.seen = at
        # Once the end was told, the condition is over: if it is true again, that is a new turn.
        fresh = memory.told is None
        if self.window is not None:
            memory.kept.append(found)
            was, memory.on = memory.on, self._true(self._in_window(memory, at))
            if not memory.on:
                return
            fresh = fresh or not was
        if fresh:
            self._begin(memory, at)
        once_within = self._span("once_within")
        soonest = memory.fired_at + (once_within or 0)
        again = at >= soonest if once_within is not None else self.window is None
        if fresh or again:
            yield self._fire(group, memory, at, found)
            return
        values = self._values(self._in_window(memory, at)) if self.window else {}
        severity = self._severity(memory, at, values, found)
        if memory.told is not None and severity > memory.told:
            memory.told = severity
            yield ("escalation", self.rule_id, group, at, severity, values, found.event_id)

    def pass_time(self, at: int) -> Iterator[Summary]:
        """Look at all groups after the events of an instant."""
        for group, memory in sorted(self.groups.items()):
            if self.window is not None:
                was, memory.on = memory.on, self._true(self._in_window(memory, at))
                if memory.on and not was:
                    self._begin(memory, at)
                    yield self._fire(group, memory, at, None)
            quiet = self._span("resolve_after")
            if quiet is not None and memory.told is not None:
                over = max(memory.seen, memory.fired_at) + quiet
                if at >= over:
                    memory.told = None
                    yield ("cleared", self.rule_id, group, over)


def _within(value: int, limit: Spec) -> bool:
    bounds = {name: bound for name, bound in limit.items() if name != "field"}
    return all(getattr(operator, _NAMES.get(name, name))(value, b) for name, b in bounds.items())


_NAMES = {"lte": "le", "gte": "ge"}


def expected(rules: Sequence[Spec], events: Sequence[IncidentEvent], end: int) -> list[Summary]:
    """Say what a stream in order of time leads to."""
    models = [Model(number, spec) for number, spec in enumerate(rules)]
    by_instant: dict[int, list[IncidentEvent]] = {}
    for found in events:
        by_instant.setdefault(to_micros(found.timestamp), []).append(found)
    result: list[Summary] = []
    for at in range(START, end + 1):
        for found in by_instant.get(at, ()):
            for model in models:
                result += model.observe(found, at)
        for model in models:
            result += model.pass_time(at)
    return result


def summary(signal: Signal) -> Summary:
    """Give a signal in the model's terms."""
    assert isinstance(signal, Detection | Escalation | Cleared)
    at = to_micros(signal.detected_at if isinstance(signal, Detection) else signal.at)
    start = (signal.kind, signal.rule_id, tuple(signal.group.values()), at)
    match signal:
        case Detection():
            return (*start, signal.severity, signal.values, signal.event_ids, signal.components)
        case Escalation():
            return (*start, signal.severity, signal.values, signal.event_id)
        case Cleared():
            return start


def end_of(events: Sequence[IncidentEvent]) -> int:
    return max((to_micros(found.timestamp) for found in events), default=START) + SLACK


# -- the engine does what the model does ---------------------------------------------------------


@given(st.lists(specs(), min_size=1, max_size=3), streams())
@settings(max_examples=150, deadline=None, phases=NO_EXPLANATION)
def test_agrees_with_the_model(rules: list[Spec], events: list[IncidentEvent]) -> None:
    end = end_of(events)
    signals = play(load(*rules), events, until=end)
    assert [summary(signal) for signal in signals] == expected(rules, events, end)


def test_the_strategies_reach_every_kind_of_signal() -> None:
    """Keeps the test above from passing on streams in which nothing happens."""
    seen: set[str] = set()

    @given(specs(), streams())
    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    def collect(spec: Spec, events: list[IncidentEvent]) -> None:
        for kind, *_ in expected([spec], events, end_of(events)):
            seen.add(kind)

    collect()
    assert seen == {"detection", "escalation", "cleared"}


@given(specs(), streams())
@settings(max_examples=30, deadline=None, phases=NO_EXPLANATION)
def test_later_signals_name_the_latest_detection(spec: Spec, events: list[IncidentEvent]) -> None:
    latest: dict[tuple[Any, ...], Detection] = {}
    ids: set[str] = set()
    for signal in play(load(spec), events, until=end_of(events)):
        assert isinstance(signal, Detection | Escalation | Cleared)
        group = tuple(signal.group.values())
        if isinstance(signal, Detection):
            assert signal.detection_id not in ids
            ids.add(signal.detection_id)
            latest[group] = signal
        else:
            assert signal.detection_id == latest[group].detection_id
            assert signal.at >= latest[group].detected_at


# -- what must not change the outcome ------------------------------------------------------------


def batches(
    events: Sequence[IncidentEvent], cuts: Iterable[int]
) -> Iterator[Sequence[IncidentEvent]]:
    """Cut a stream into batches, some of them empty."""
    places = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    yield from (events[low:high] for low, high in pairwise(places))
    yield []


@given(
    st.lists(specs(), min_size=1, max_size=3),
    streams(),
    st.lists(st.integers(0, 30), max_size=8),
    st.sampled_from((0, 4)),
)
@settings(max_examples=40, deadline=None, phases=NO_EXPLANATION)
def test_the_size_of_batches_does_not_matter(
    rules: list[Spec], events: list[IncidentEvent], cuts: list[int], lateness: int
) -> None:
    loaded = load(*rules)
    end = end_of(events)
    whole = play(loaded, events, until=end, lateness=lateness)
    player = Player(Engine(reversed(loaded), allowed_lateness=lateness))
    signals = [signal for batch in batches(events, cuts) for signal in player.play(batch)]
    signals += player.engine.advance(end + lateness) + player.engine.finish()
    assert as_bytes(signals) == as_bytes(whole)


LATENESS = 6


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[IncidentEvent], list[IncidentEvent]]:
    """Draw a stream in order of time and id, and as it arrives, none later than allowed."""
    in_order = sorted(draw(streams()), key=lambda found: (found.timestamp, found.event_id))
    delays = draw(
        st.lists(st.integers(0, LATENESS), min_size=len(in_order), max_size=len(in_order))
    )
    arrival = sorted(
        zip(delays, in_order, strict=True), key=lambda p: (to_micros(p[1].timestamp) + p[0], p[0])
    )
    return in_order, [found for _, found in arrival]


@given(st.lists(specs(), min_size=1, max_size=3), shuffled())
@example(
    [{"window": {"count": {"gte": 2}, "within": "10us"}}],
    (
        [event("a", 0), event("b", 0), event("c", LATENESS / 1e6)],
        [event("b", 0), event("c", LATENESS / 1e6), event("a", 0)],
    ),
)
@settings(max_examples=60, deadline=None, phases=NO_EXPLANATION)
def test_the_order_of_arrival_does_not_matter_within_the_lateness(
    rules: list[Spec], stream: tuple[list[IncidentEvent], list[IncidentEvent]]
) -> None:
    in_order, arrival = stream
    loaded, end = load(*rules), end_of(in_order)
    sorted_first = as_bytes(play(loaded, in_order, until=end))
    assert as_bytes(play(loaded, in_order, until=end, lateness=LATENESS)) == sorted_first
    assert as_bytes(play(loaded, arrival, until=end, lateness=LATENESS)) == sorted_first


def test_events_later_than_allowed_are_counted_and_left_out() -> None:
    player = Player(Engine(load({}), allowed_lateness=10))
    signals = player.play([event("new", 1), event("old", 0)]) + player.engine.finish()
    assert [s.event_ids for s in signals if isinstance(s, Detection)] == [("new",)]
    assert (player.engine.statistics.late, player.engine.statistics.events) == (1, 2)


def test_events_are_held_for_the_lateness_and_no_longer() -> None:
    player = Player(Engine(load({}), allowed_lateness=10))
    assert player.play([event("first", 0)]) == []
    assert player.engine.advance(START + 9) == []
    (signal,) = player.engine.advance(START + 11)
    assert isinstance(signal, Detection)
    assert signal.event_ids == ("first",)


@pytest.mark.parametrize("window", [None, {"count": {"gte": 1}, "within": "1h"}])
def test_once_within_does_not_hold_back_what_comes_after_the_end(window: Any) -> None:
    """The incident may be resolved by then: nobody would hear of the new one."""
    spec = {"once_within": "1h", "resolve_after": "10m", "window": window}
    signals = play(load(spec), [event("a", 0), event("b", 60), event("c", 1200)])
    assert [signal.kind for signal in signals] == ["detection", "cleared", "detection"]


def test_a_condition_that_rises_by_itself_has_lasted_since_it_was_first_told() -> None:
    step = {"if": {"lasting": "5s"}, "severity": "high"}
    window = {"count": {"lte": 1}, "within": "10s"}
    spec = {"window": window, "resolve_after": "20s", "escalate": [step]}
    signals = play(load(spec), [event("a", 0), event("b", 4)], until=micros(12))
    assert [s.severity for s in signals if isinstance(s, Detection)] == ["low", "high"]


@pytest.mark.parametrize(("gap", "fires"), [(10, True), (10.000001, False)])
def test_both_ends_of_a_window_are_inside(gap: float, fires: bool) -> None:
    rules = load({"window": {"count": {"gte": 2}, "within": "10s"}})
    signals = play(rules, [event("a", 0), event("b", gap)])
    assert bool(signals) is fires


def test_a_condition_falls_between_events_and_may_rise_again() -> None:
    rules = load({"window": {"count": {"gte": 2}, "within": "10s"}})
    signals = play(rules, [event(at, at) for at in (0, 1, 12, 13)])
    assert [to_micros(s.detected_at) for s in signals if isinstance(s, Detection)] == [
        micros(1),
        micros(13),
    ]


def test_a_condition_that_rises_as_events_leave_fires_at_that_instant() -> None:
    rules = load({"window": {"count": {"eq": 1}, "within": "10s"}})
    signals = play(rules, [event("a", 0), event("b", 4)], until=micros(60))
    assert [
        (to_micros(s.detected_at), s.event_ids) for s in signals if isinstance(s, Detection)
    ] == [
        (micros(0), ("a",)),
        (micros(10.000001), ("b",)),
    ]
