"""Who is named on small systems, and when nobody is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tocsin_causes_metrics import Alarm, Candidate, Graph, Metrics, Params, SeriesKey, rank

LATENCY = "latency", "Average"


def named(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.component for candidate in candidates]


def changed(metrics: Metrics, key: tuple[str, str, str], values: Any) -> Metrics:
    series = dict(metrics.series)
    old = series.get(SeriesKey(*key), np.zeros(len(metrics.times)))
    series[SeriesKey(*key)] = np.broadcast_to(np.asarray(values, dtype=np.float64), old.shape)
    return Metrics(metrics.times, series)


def without(metrics: Metrics, unwanted: Callable[[SeriesKey], bool]) -> Metrics:
    return Metrics(metrics.times, {k: v for k, v in metrics.series.items() if not unwanted(k)})


def single(
    history: list[float], window: list[float], at: float = 2, **params: Any
) -> tuple[Candidate, ...]:
    """Rank a system of one component, with the alarm at the third row of the window."""
    key = SeriesKey("alone", "errors", "Average")
    return rank(
        Graph({"alone": ()}),
        Metrics(range(len(history)), {key: history}),
        Metrics(range(len(window)), {key: window}),
        Alarm("alone", "errors", "Average", at),
        Params(**params),
    )


@pytest.mark.parametrize("cause", ["front", "search", "payments", "database", "bank"])
def test_the_slow_component_comes_first(shop: Any, cause: str) -> None:
    shop = replace(shop, slow={cause: 0.2})

    first, *others = rank(shop.graph, shop.history(), shop.window(), shop.alarm())

    assert first.component == cause
    assert first.rank == 1
    assert first.evidence.onset == shop.alarm().at
    assert all(first.score > other.score for other in others)


def test_callers_are_excused_by_what_they_call(shop: Any) -> None:
    shop = replace(shop, slow={"database": 0.2})

    found = rank(shop.graph, shop.history(), shop.window(), shop.alarm())

    assert set(named(found)) == {"database", "search", "payments", "front"}
    by_name = {candidate.component: candidate for candidate in found}
    assert by_name["search"].evidence.explained_by == {"database"}
    assert by_name["front"].evidence.explained_by == {"search", "payments"}
    assert by_name["front"].evidence.explained == pytest.approx(1, abs=0.1)
    assert by_name["database"].evidence.explained == 0
    assert by_name["database"].evidence.distance == 2
    assert by_name["database"].evidence.correlation == pytest.approx(1, abs=0.01)
    assert sum(candidate.score for candidate in found) == pytest.approx(1)


def test_words_say_what_the_evidence_says(shop: Any) -> None:
    shop = replace(shop, slow={"database": 0.2})

    words = {
        c.component: c.words for c in rank(shop.graph, shop.history(), shop.window(), shop.alarm())
    }

    assert words["database"].startswith("latency (Average) of database went to 0.22")
    assert "from a usual 0.02" in words["database"]
    assert "from the alarm on; nothing that it calls explains it" in words["database"]
    assert "it is 2 calls away from front" in words["database"]
    assert "database, which it calls, explain" in words["search"]
    assert words["front"].endswith("it is the component of the alarm")


def test_two_causes_come_before_their_callers(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4, "search": 0.2})

    found = rank(shop.graph, shop.history(), shop.window(), shop.alarm())

    assert set(named(found)[:2]) == {"bank", "search"}


@pytest.mark.parametrize("seed", range(30))
def test_nobody_is_named_on_normal_data(shop: Any, seed: int) -> None:
    shop = replace(shop, seed=seed)

    assert rank(shop.graph, shop.history(), shop.window(), shop.alarm()) == ()


def test_what_the_alarm_does_not_depend_on_is_not_named(shop: Any) -> None:
    shop = replace(shop, slow={"unrelated": 5.0})

    assert rank(shop.graph, shop.history(), shop.window(), shop.alarm()) == ()


def test_a_fall_of_traffic_is_no_cause(shop: Any) -> None:
    shop = replace(shop, slow={"payments": 0.2})
    window = changed(shop.window(), ("bank", "requests", "Sum"), 0)

    found = rank(shop.graph, shop.history(), window, shop.alarm())

    assert named(found)[0] == "payments"
    assert "bank" not in named(found)


def test_an_improvement_is_no_cause(shop: Any) -> None:
    shop = replace(shop, slow={"database": -0.015})

    assert rank(shop.graph, shop.history(), shop.window(), shop.alarm()) == ()


def test_what_was_so_before_the_alarm_is_no_cause(shop: Any) -> None:
    window = shop.window()
    drifted = window.series[SeriesKey("database", *LATENCY)] + 0.2

    assert (
        rank(
            shop.graph,
            shop.history(),
            changed(window, ("database", *LATENCY), drifted),
            shop.alarm(),
        )
        == ()
    )


def test_a_single_peak_is_no_cause(shop: Any) -> None:
    window = shop.window()
    peaked = window.series[SeriesKey("database", *LATENCY)] + np.eye(6)[4]

    found = rank(
        shop.graph, shop.history(), changed(window, ("database", *LATENCY), peaked), shop.alarm()
    )

    assert found == ()


def test_what_is_too_small_to_matter_to_the_alarm_is_no_cause(shop: Any) -> None:
    """A cache of 20 microseconds that takes 200 does not slow down what takes 60 milliseconds."""
    graph = Graph({**shop.graph.calls, "search": ("database", "cache")})
    rng = np.random.default_rng(2)
    values = 2e-5 * (1 + 0.02 * rng.lognormal(0, 0.8, 246))
    values[-3:] *= 10
    history = changed(shop.history(), ("cache", *LATENCY), values[:240])
    window = changed(shop.window(), ("cache", *LATENCY), values[240:])

    assert rank(graph, history, window, shop.alarm()) == ()
    louder = rank(graph, history, window, shop.alarm(), Params(material=1e-4))
    assert named(louder) == ["cache"]


def test_a_cause_without_metrics_leaves_its_callers(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    unseen = changed(shop.window(), ("bank", *LATENCY), np.nan)

    found = rank(shop.graph, shop.history(), unseen, shop.alarm())

    assert named(found)[0] == "payments"
    assert "bank" not in named(found)


def test_single_missing_values_do_not_matter(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    window, history = shop.window(), shop.history()
    for metrics in (window, history):
        for values in metrics.series.values():
            values[1::7] = np.nan

    assert named(rank(shop.graph, history, window, shop.alarm()))[0] == "bank"


def test_without_counts_the_ranking_still_works(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    history, window = (
        without(metrics, lambda key: key.metric == "requests")
        for metrics in (shop.history(), shop.window())
    )

    assert named(rank(shop.graph, history, window, shop.alarm()))[0] == "bank"


def test_components_that_call_each_other(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    graph = Graph({**shop.graph.calls, "bank": ("bank", "payments"), "payments": ("bank", "front")})

    found = rank(graph, shop.history(), shop.window(), shop.alarm())

    assert set(named(found)) == {"bank", "payments", "front"}
    assert sum(candidate.score for candidate in found) == pytest.approx(1)


def test_an_alarm_on_an_unknown_component_names_nobody(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})

    assert rank(shop.graph, shop.history(), shop.window(), shop.alarm("nobody")) == ()


def test_an_alarm_on_an_unknown_metric_names_nobody(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})

    assert rank(shop.graph, shop.history(), shop.window(), shop.alarm(metric="nothing")) == ()


def test_an_alarm_on_a_metric_that_its_component_lacks(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    history, window = (
        without(metrics, lambda key: key == ("front", *LATENCY))
        for metrics in (shop.history(), shop.window())
    )

    first, *_ = rank(shop.graph, history, window, shop.alarm())

    assert first.component == "bank"
    assert first.evidence.correlation is None
    assert "correlation" not in first.words


def test_an_alarm_on_a_percentile_is_judged_by_the_mean(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    history, window = shop.history(), shop.window()
    for metrics in (history, window):
        tail = 2 * metrics.series[SeriesKey("front", *LATENCY)]
        metrics.series[SeriesKey("front", "latency", "p99")] = tail

    first, *_ = rank(shop.graph, history, window, replace(shop.alarm(), statistic="p99"))

    assert first.component == "bank"
    assert first.evidence.statistic == "Average"


def test_an_alarm_on_missing_requests_names_who_lost_them(shop: Any) -> None:
    window = shop.window()
    for name in ("front", "payments"):
        fallen = window.series[SeriesKey(name, "requests", "Sum")].copy()
        fallen[3:] -= 60
        window = changed(window, (name, "requests", "Sum"), fallen)
    alarm = Alarm("front", "requests", "Sum", shop.alarm().at)

    assert named(rank(shop.graph, shop.history(), window, alarm))[0] == "payments"


def test_a_series_that_never_moved() -> None:
    assert single([100.0] * 60, [100.0] * 5) == ()
    (found,) = single([100.0] * 60, [100, 100, 97, 98, 100])
    assert found.component == "alone"
    assert found.evidence.worst == 97
    assert found.evidence.correlation is not None


def test_a_series_that_was_always_zero() -> None:
    assert single([0.0] * 60, [0.0] * 5) == ()
    assert named(single([0.0] * 60, [0, 0, 0.3, 0.2, 0])) == ["alone"]


def test_too_short_a_history_names_nobody() -> None:
    assert single([100.0] * 29, [100, 100, 10, 10, 10]) == ()
    assert single([], [100, 100, 10, 10, 10]) == ()
    assert named(single([100.0] * 29, [100, 100, 10, 10, 10], min_history=20)) == ["alone"]


def test_a_window_without_rows_names_nobody() -> None:
    assert single([100.0] * 60, []) == ()


def test_a_window_of_one_row() -> None:
    assert named(single([100.0] * 60, [10.0], at=0)) == ["alone"]


@pytest.mark.parametrize("huge", [1e308, -1e308, 1.7e308])
def test_huge_values(shop: Any, huge: float) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    window = shop.window()
    values = window.series[SeriesKey("database", *LATENCY)].copy()
    values[3:] = huge
    counts = changed(window, ("database", "requests", "Sum"), 1e308)

    found = rank(
        shop.graph, shop.history(), changed(counts, ("database", *LATENCY), values), shop.alarm()
    )

    assert (named(found)[0] == "database") is (huge > 0)
    assert sum(candidate.score for candidate in found) == pytest.approx(1)
    assert all(np.isfinite(candidate.score) for candidate in found)


def test_a_huge_history(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    history = shop.history()
    history.series[SeriesKey("database", *LATENCY)][::50] = 1e308

    assert named(rank(shop.graph, history, shop.window(), shop.alarm()))[0] == "bank"


def test_infinite_values_count_as_missing(shop: Any) -> None:
    shop = replace(shop, slow={"bank": 0.4})
    window = changed(shop.window(), ("database", *LATENCY), np.inf)

    found = rank(shop.graph, shop.history(), window, shop.alarm())

    assert named(found)[0] == "bank"
    assert "database" not in named(found)


def test_twins_share_their_place() -> None:
    key = SeriesKey("front", *LATENCY)
    rng = np.random.default_rng(3)
    past, now = 1 + rng.random(60), np.array([1, 1, 9, 9, 9.0])
    history = {key._replace(component=name): past for name in ("front", "left", "right")}
    window = {key._replace(component=name): now for name in ("front", "left", "right")}

    found = rank(
        Graph({"front": ["left", "right"]}),
        Metrics(range(60), history),
        Metrics(range(5), window),
        Alarm("front", *LATENCY, 2),
    )

    assert [(c.component, c.rank) for c in found] == [("left", 1), ("right", 1), ("front", 3)]
    assert found[0].score == found[1].score
