"""A small system whose metrics follow from what its components do and call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from tocsin_causes_metrics import Alarm, Graph, Metrics, SeriesKey

HISTORY = 240
ROWS = 6
ALARM_ROW = 3
PERIOD = 60.0


@dataclass(frozen=True)
class System:
    """Components that call each other, each with so many requests a row."""

    calls: Mapping[str, tuple[str, ...]]
    requests: Mapping[str, int]
    seed: int = 1
    slow: Mapping[str, float] = field(default_factory=dict)
    """Seconds that components take longer from the alarm on."""

    @property
    def graph(self) -> Graph:
        return Graph(self.calls)

    def alarm(self, component: str = "front", metric: str = "latency") -> Alarm:
        return Alarm(component, metric, "Average", (HISTORY + ALARM_ROW) * PERIOD)

    def history(self) -> Metrics:
        return self._metrics(0, HISTORY)

    def window(self) -> Metrics:
        return self._metrics(HISTORY, HISTORY + ROWS)

    def _metrics(self, first: int, last: int) -> Metrics:
        rng = np.random.default_rng(self.seed)
        rows = HISTORY + ROWS
        late = np.arange(rows) >= HISTORY + ALARM_ROW
        own = {
            name: 0.02 * (1 + 0.02 * rng.lognormal(0, 0.8, rows)) + late * self.slow.get(name, 0.0)
            for name in self.requests
        }
        counts = {
            name: rng.poisson(number, rows).astype(np.float64)
            for name, number in self.requests.items()
        }
        series = {}
        for name in self.requests:
            series[SeriesKey(name, "latency", "Average")] = self._latency(name, own)[first:last]
            series[SeriesKey(name, "requests", "Sum")] = counts[name][first:last]
        return Metrics(np.arange(first, last) * PERIOD, series)

    def _latency(self, name: str, own: Mapping[str, np.ndarray]) -> np.ndarray:
        share = {c: self.requests[c] / self.requests[name] for c in self.calls.get(name, ())}
        callers = {c: sum(c in called for called in self.calls.values()) for c in share}
        parts = [share[c] / callers[c] * self._latency(c, own) for c in share]
        whole: np.ndarray = np.sum([own[name], *parts], axis=0)
        return whole


@pytest.fixture
def shop() -> System:
    return System(
        calls={
            "front": ("search", "payments"),
            "search": ("database",),
            "payments": ("database", "bank"),
            "unrelated": ("bank",),
        },
        requests={
            "front": 400,
            "search": 300,
            "payments": 100,
            "database": 500,
            "bank": 90,
            "unrelated": 50,
        },
    )
