"""The ranking depends on nothing but numbers and structure."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_causes_metrics import Alarm, Candidate, Graph, Metrics, SeriesKey, rank

METRICS = (("latency", "Average"), ("requests", "Sum"), ("latency", "p99"))


@st.composite
def systems(draw: st.DrawFn) -> tuple[Graph, Metrics, Metrics, Alarm]:
    """Any graph, with noise, and deviations of any size anywhere."""
    size = draw(st.integers(1, 6))
    names = [f"c{number}" for number in range(size)]
    edges = draw(st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    history, window = {}, {}
    for name in names:
        added = draw(st.sampled_from([0.0, 0.0, 0.02, 1.0, 30.0]))
        gaps = draw(st.sampled_from([0.0, 0.1]))
        for metric, statistic in METRICS:
            values = rng.lognormal(-3, 0.3, 65)
            if metric == "requests":
                values = np.floor(values * 1000)
            else:
                values[62:] += added
                values[rng.random(65) < gaps] = np.nan
            key = SeriesKey(name, metric, statistic)
            history[key], window[key] = values[:60], values[60:]
    graph = Graph({name: {c for caller, c in edges if caller == name} for name in names})
    alarm = Alarm("c0", *draw(st.sampled_from(METRICS)), at=2)
    return graph, Metrics(range(60), history), Metrics(range(5), window), alarm


def numbers(found: tuple[Candidate, ...]) -> list[tuple[Any, ...]]:
    """Give all that is told of candidates beside words, in an order that is the same always."""
    evidences = [(c, c.evidence) for c in found]
    return sorted(
        (c.rank, c.component, c.score, e.worst, e.usual, e.unusual, e.onset, e.explained)
        for c, e in evidences
    )


@settings(max_examples=80, deadline=None)
@given(systems(), st.randoms(use_true_random=False))
def test_names_and_orders_do_not_matter(
    system: tuple[Graph, Metrics, Metrics, Alarm], chance: random.Random
) -> None:
    graph, history, window, alarm = system
    names = list(graph.calls)
    others = [f"n{number}" for number in range(len(names))]
    chance.shuffle(others)
    to = dict(zip(names, others, strict=True))
    back = {new: old for old, new in to.items()}

    def mixed(metrics: Metrics) -> Metrics:
        items = [(k._replace(component=to[k.component]), v) for k, v in metrics.series.items()]
        chance.shuffle(items)
        return Metrics(metrics.times, dict(items))

    calls = [(to[caller], [to[c] for c in called]) for caller, called in graph.calls.items()]
    chance.shuffle(calls)
    renamed = Alarm(to[alarm.component], alarm.metric, alarm.statistic, alarm.at)
    found = rank(Graph(dict(calls)), mixed(history), mixed(window), renamed)

    expected = rank(graph, history, window, alarm)
    assert [c.rank for c in found] == [c.rank for c in expected]
    named_back = [(r, back[name], *rest) for r, name, *rest in numbers(found)]
    assert sorted(named_back) == numbers(expected)


@settings(max_examples=60, deadline=None)
@given(systems(), st.integers(-30, 30))
def test_units_do_not_matter(system: tuple[Graph, Metrics, Metrics, Alarm], power: int) -> None:
    """In units that are powers of two of others, all is the same to the last bit."""
    graph, history, window, alarm = system

    def scaled(metrics: Metrics) -> Metrics:
        unit = 2.0**power
        changed = {
            key: values * unit if key.metric == "latency" else values
            for key, values in metrics.series.items()
        }
        return Metrics(metrics.times, changed)

    found = rank(graph, scaled(history), scaled(window), alarm)

    expected = rank(graph, history, window, alarm)
    assert [(c.component, c.rank, c.score) for c in found] == [
        (c.component, c.rank, c.score) for c in expected
    ]


@settings(max_examples=60, deadline=None)
@given(systems())
def test_whatever_is_found_is_in_order(system: tuple[Graph, Metrics, Metrics, Alarm]) -> None:
    graph, history, window, alarm = system

    found = rank(graph, history, window, alarm)

    assert found == rank(graph, history, window, alarm)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    assert {c.component for c in found} <= graph.distances(alarm.component).keys()
    if found:
        assert sum(c.score for c in found) == pytest.approx(1)
        assert found[0].rank == 1
