"""Metrics are recognised by their values."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin_causes_metrics import Metrics
from tocsin_causes_metrics.kinds import find_traffic, worse_direction

RNG = np.random.default_rng(4)
TAIL_ABOVE = RNG.lognormal(0, 1, 300)
TAIL_BELOW = 100 - np.where(RNG.random(300) < 0.1, RNG.random(300), 0)


@pytest.mark.parametrize(
    ("histories", "undecided", "direction"),
    [
        ([TAIL_ABOVE], -1, 1),
        ([TAIL_BELOW], 1, -1),
        ([TAIL_BELOW, TAIL_BELOW, np.full(60, 100.0)], 1, -1),
        ([TAIL_ABOVE, TAIL_BELOW], -3, -1),
        ([TAIL_ABOVE, TAIL_BELOW], 3, 1),
        ([np.full(60, 100.0)], -3, -1),
        ([np.array([])], 0, 1),
        ([], 0, 1),
    ],
)
def test_worse_is_where_the_long_tail_is(
    histories: list[np.ndarray], undecided: float, direction: int
) -> None:
    assert worse_direction(histories, undecided) == direction


def test_requests_are_told_from_bytes_and_failures() -> None:
    count = RNG.poisson(2, 60).astype(float)
    latency = np.where(count > 0, RNG.random(60), np.nan)
    kinds = {
        ("m1", "s1"): latency,
        ("m2", "s1"): count,
        ("m3", "s1"): count * 1000,
        ("m4", "s1"): (count > 3).astype(float),
        ("m5", "s1"): -count,
        ("m6", "s1"): latency / 2,
    }
    metrics = Metrics(range(60), {("any", *kind): values for kind, values in kinds.items()})

    assert find_traffic(metrics, "m1", "s1") == ("m2", "s1")


def test_there_may_be_nothing_that_counts() -> None:
    metrics = Metrics(range(3), {("any", "m1", "s1"): [0.5, 1, 2]})

    assert find_traffic(metrics, "m1", "s1") is None
