"""Late events where none are held back: they count in the windows that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.streams import Player, Spec, as_bytes, event, load, micros
from tocsin.clock import to_micros
from tocsin.models import Detection, IncidentEvent, Signal
from tocsin.rules.engine import Engine

THREE = {"window": {"count": {"gte": 3}, "within": "10s"}, "group_by": ["source"]}


def clock(at: float) -> IncidentEvent:
    """Make an event of another source, which only moves the time."""
    return event(f"clock {at}", at, source="clock", event_type="tick")


def found(signals: Sequence[Signal]) -> list[tuple[float, tuple[str, ...]]]:
    return [
        ((to_micros(signal.detected_at) - micros(0)) / 1e6, signal.event_ids)
        for signal in signals
        if isinstance(signal, Detection)
    ]


def play(spec: Spec, *events: IncidentEvent) -> list[tuple[float, tuple[str, ...]]]:
    player = Player(Engine(load(spec)))
    return found([*player.play(events), *player.engine.finish()])


def test_one_completes_a_window_that_ends_before_now() -> None:
    events = [event("a", 0), event("b", 4), clock(15), event("late", 2)]
    assert play(THREE, *events) == [(2, ("a", "late", "b"))]


def test_one_completes_the_window_that_ends_now() -> None:
    events = [event("a", 8), event("b", 12), event("late", 5)]
    assert play(THREE, *events) == [(5, ("late", "a", "b"))]


@given(
    st.lists(st.sampled_from((0, 2, 2, 4, 6, 14)), max_size=25),
    st.integers(1, 4),
    st.sampled_from((2, 6, 10)),
    st.sampled_from((None, 4, 20)),
)
@settings(max_examples=80, deadline=None)
def test_a_lag_that_stays_the_same_does_not_matter(
    gaps: list[int], fewest: int, within: int, once_within: int | None
) -> None:
    """Events come at even microseconds and leave at odd ones, never both at the same instant."""
    spec = {"window": {"count": {"gte": fewest}, "within": f"{within}us"}}
    more = {} if once_within is None else {"once_within": f"{once_within}us"}
    events, lagging = [], []
    for number, at in enumerate(accumulate(gaps)):
        events.append(event(number, at / 1e6))
        lagging += [clock(100 + at / 1e6), events[-1]]
    assert play({**spec, **more}, *lagging) == play({**spec, **more}, *events)


def even(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most // 2).map(lambda half: 2 * half)


def true_instants(times: Sequence[int], fewest: int, within: int, now: int) -> set[int]:
    return {
        instant
        for instant in range(now + 1)
        if sum(instant - within <= at <= instant for at in times) >= fewest
    }


def spans_of(instants: set[int]) -> list[set[int]]:
    """Split instants into those that follow on one another."""
    spans: list[set[int]] = []
    for instant in sorted(instants):
        if instant - 1 in instants:
            spans[-1].add(instant)
        else:
            spans.append({instant})
    return spans


@given(
    st.lists(st.tuples(even(4), even(12)), max_size=14),
    st.integers(1, 4),
    st.sampled_from((2, 6, 10)),
)
@settings(max_examples=200, deadline=None)
def test_in_any_order_each_span_that_comes_to_be_true_is_told_once(
    arrivals: list[tuple[int, int]], fewest: int, within: int
) -> None:
    """An event fires where it makes a whole span true, and not where it makes one longer.

    Events come at even microseconds and leave at odd ones, never both at the same instant.
    """
    now, events, expected = 0, [], []
    times: list[int] = []
    for number, (step, lag) in enumerate(arrivals):
        now += step
        at = max(now - min(lag, within), 0)
        before = true_instants(times, fewest, within, now)
        times.append(at)
        after = spans_of(true_instants(times, fewest, within, now))
        new = next((min(span) for span in after if not span & before), None)
        events += [clock(now / 1e6), event(number, at / 1e6)]
        if new is not None:
            inside = sorted(n for n, t in enumerate(times) if new - within <= t <= new)
            ids = tuple(str(n) for n in sorted(inside, key=lambda n: times[n]))
            expected.append((at / 1e6, ids))
    spec = {"window": {"count": {"gte": fewest}, "within": f"{within}us"}}
    assert play(spec, *events) == expected


def test_one_does_not_join_a_window_that_it_is_too_old_for() -> None:
    events = [event("a", 11), event("b", 12), event("late", 1)]
    assert play(THREE, *events) == []


@pytest.mark.parametrize(("at", "fires"), [(2, True), (1.999999, False)])
def test_the_edges_of_windows_are_the_same_as_in_order(at: float, fires: bool) -> None:
    events = [event("a", 11), event("b", 12), event("late", at)]
    assert bool(play(THREE, *events)) is fires


def test_a_source_whose_clock_lags_still_fires() -> None:
    """Ten minutes behind all others: its events are late, each and every one."""
    minutes = 600
    events = []
    for second in range(6):
        events += [clock(minutes + second), event(f"lag {second}", second)]
    assert play(THREE, *events) == [(2, ("lag 0", "lag 1", "lag 2"))]


def test_a_source_that_lags_fires_again_once_its_condition_was_false() -> None:
    events = []
    for second in (0, 1, 2, 60, 61, 62):
        events += [clock(600 + second), event(f"lag {second}", second)]
    assert play(THREE, *events) == [
        (2, ("lag 0", "lag 1", "lag 2")),
        (62, ("lag 60", "lag 61", "lag 62")),
    ]


@pytest.mark.parametrize("at", [0.5, 2, 5])
def test_one_does_not_fire_what_has_fired(at: float) -> None:
    told = [event("a", 0), event("b", 1), event("c", 2)]
    assert len(play(THREE, *told, event("late", at))) == 1
    assert len(play(THREE, *told, clock(15), event("late", at))) == 1


def test_several_fire_once_for_one_window() -> None:
    late = [event(f"late {n}", 1 + n / 10) for n in range(5)]
    assert len(play(THREE, event("a", 0), event("b", 4), clock(15), *late)) == 1


def test_one_is_not_new_evidence_for_what_is_over() -> None:
    """The condition was true until 12 s; a second burst is a second detection."""
    first = [event("a", 0), event("b", 1), event("c", 2), clock(30), event("late", 3)]
    second = [event("d", 31), event("e", 32), event("f", 33)]
    assert [at for at, _ in play(THREE, *first, *second)] == [2, 33]


def test_one_fires_a_rule_without_window_at_its_own_time() -> None:
    assert play({}, clock(20), event("late", 3)) == [(3, ("late",))]


def test_one_counts_from_its_own_time_for_how_often_a_rule_may_fire() -> None:
    events = [event("a", 10), event("late", 5), event("b", 15), event("c", 20)]
    assert [ids for _, ids in play({"once_within": "10s"}, *events)] == [("a",), ("c",)]


def test_one_before_an_interruption_does_not_join_the_run_after_it() -> None:
    spec = {
        "window": {"count": {"gte": 2}, "within": "60s"},
        "require_consecutive": {"among": {"event_type": "fine"}},
    }
    events = [event("a", 5), event("fine", 10, event_type="fine")]
    events += [event("b", 11), event("late", 9)]
    assert play(spec, *events) == []
    assert play(spec, *events, event("c", 12)) == [(12, ("b", "c"))]


def test_a_late_interruption_ends_the_run_before_it() -> None:
    spec = {"window": {"count": {"gte": 3}, "within": "60s"}, "require_consecutive": True}
    late = event("fine", 1.5, event_type="fine")
    assert play(spec, event("a", 1), event("b", 2), late, event("c", 3)) == []
    assert play(spec, event("a", 1), event("b", 2), late, event("c", 3), event("d", 4)) == [
        (4, ("b", "c", "d"))
    ]


@pytest.mark.parametrize("at", [10, 9.999999])
def test_after_an_interruption_a_run_may_start_at_the_same_instant(at: float) -> None:
    """Sources often tell whole seconds: an event that came after another one is after it."""
    spec = {"window": {"count": {"gte": 2}, "within": "60s"}, "require_consecutive": True}
    events = [event("a", 8), event("fine", at, event_type="fine")]
    assert play(spec, *events, event("b", 10), event("c", 11)) == [(11, ("b", "c"))]


@pytest.mark.parametrize("instant", ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
def test_a_clock_that_is_far_off_does_not_stop_the_others(instant: str) -> None:
    off = event("off", timestamp=instant, source="broken")
    spec = {"group_by": ["source"], "resolve_after": "10m"}
    events = [event("a", 0), off, event("b", 1), event("c", 2)]
    assert [ids for _, ids in play(spec, *events)] == [("a",), ("off",), ("b",), ("c",)]


def test_batches_do_not_matter() -> None:
    events = []
    for second in (0, 1, 2, 60, 61, 5, 62):
        events += [clock(600 + second), event(f"lag {second}", second)]
    whole = Player(Engine(load(THREE))).play(events)
    assert len(whole) == 2
    player = Player(Engine(load(THREE)))
    assert as_bytes([s for one in events for s in player.play([one])]) == as_bytes(whole)


def test_one_that_makes_a_window_true_again_fires_for_it() -> None:
    """True from 1 s to 11 s, false until 11.5 s; the late event is what makes that true, too."""
    spec = {"window": {"count": {"gte": 2}, "within": "10s"}}
    events = [event("a", 0), event("b", 1), event("c", 11.5), event("late", 9)]
    assert play(spec, *events) == [(1, ("a", "b")), (9, ("late", "c"))]
