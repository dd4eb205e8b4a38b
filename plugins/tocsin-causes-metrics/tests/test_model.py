"""What is refused, and what a graph knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tocsin_causes_metrics import Graph, Metrics, Params, SeriesKey

KEY = SeriesKey("front", "latency", "Average")


@pytest.mark.parametrize(
    ("times", "series", "message"),
    [
        ([0, 1], {KEY: [1.0]}, "expected 2 values as there are times, found 1"),
        ([0, 1], {KEY: [[1.0, 2.0]]}, r"found shape \(1, 2\)"),
        ([0, 2, 1], {}, "times: expected each later than the one before, row 2 is not"),
        ([0, 0], {}, "row 1 is not"),
        ([0, np.nan], {}, "times: expected a sequence of finite numbers"),
        (3, {}, "times: expected a sequence"),
    ],
)
def test_metrics_that_do_not_fit(times: Any, series: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metrics(times, series)


def test_metrics_are_copied() -> None:
    values = np.array([1.0, np.inf])
    metrics = Metrics([0, 1], {KEY: values})

    values[0] = 5

    assert metrics.series[KEY][0] == 1
    assert np.isnan(metrics.series[KEY][1])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("threshold", 0, "threshold: expected a number above 0, found 0"),
        ("persistence", 1.5, "persistence: expected a number above 0 and at most 1, found 1.5"),
        ("rare", -1, "rare: expected a number above 0 and at most 1"),
        ("material", float("nan"), "material: expected a number above 0, found nan"),
    ],
)
def test_params_out_of_range(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Params(**{name: value})


def test_distances_are_the_fewest_calls() -> None:
    graph = Graph({"a": ["b", "c"], "b": ["c", "d"], "d": ["a", "d"], "x": ["a"]})

    assert graph.distances("a") == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert graph.distances("unknown") == {"unknown": 0}
