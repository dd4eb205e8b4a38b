"""What each component contributes to the alarm's metric beyond what is normal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tocsin_causes_metrics.deviations import Deviation, Shape
from tocsin_causes_metrics.kinds import choose_statistic, find_traffic, is_sum, worse_direction
from tocsin_causes_metrics.model import Alarm, Floats, Metrics, Params, SeriesKey

_SAFE_EXPONENT = 500
"""Values up to two to this power can be multiplied by each other and summed without overflow."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A component's series of the alarm's metric in the window.

    Args:
        statistic: The statistic of the metric that it is.
        deviation: How far it deviates.
        amounts: The excess of each row times its requests: seconds spent, requests failed. What
            a callee spends its caller spends too, so that amounts of different components compare.
        amount: The sum of those above zero.
        lasting: The amount that as many rows reach as must deviate.
        spread: What the amount of a row usually varies by.
        usual: The median of the history.
        worst: The worst value of the window.
        onset: When it first deviated by half of what it did lastingly.
    """

    statistic: str
    deviation: Deviation
    amounts: Floats
    amount: float
    lasting: float
    spread: float
    usual: float
    worst: float
    onset: float


def find(
    history: Metrics, window: Metrics, alarm: Alarm, components: Iterable[str], params: Params
) -> dict[str, Finding]:
    """Judge the series of the alarm's metric of each component that has enough of a history.

    Args:
        history: Normal metrics.
        window: The metrics around the alarm.
        alarm: The alarm.
        components: The components to judge.
        params: How strict to be.
    """
    statistic = choose_statistic(alarm, history, window)
    keys = {
        component: key
        for component in components
        if (key := SeriesKey(component, alarm.metric, statistic)) in history.series
        and key in window.series
    }
    scale = _scaler([*(history.series[k] for k in keys.values()), *_of(window, keys)])
    pasts = {component: scale(history.series[key]) for component, key in keys.items()}
    nows = {component: scale(window.series[key]) for component, key in keys.items()}
    direction = _direction(pasts, nows, alarm.component, params, summed=is_sum(statistic))
    before = _rows_before(window.times, alarm.at)
    shape = Shape(len(window.times), before, direction, params)
    typical = _typical(pasts)
    traffic = _Traffic(history, window, alarm.component, alarm.metric, statistic)
    found = {}
    for component, now in nows.items():
        if np.all(np.isnan(now)):
            continue
        deviation = shape.deviate(pasts[component], now, typical)
        if deviation is None:
            continue
        requests, usual_requests = traffic.of(component)
        amounts = deviation.excess * requests
        ordered = np.sort(np.nan_to_num(amounts, nan=-np.inf))
        begun = deviation.excess >= deviation.lasting / 2
        values = window.series[keys[component]]
        found[component] = Finding(
            statistic,
            deviation,
            amounts,
            math.fsum(amounts[amounts > 0]),
            float(ordered[-shape.lasting]),
            deviation.spread * usual_requests,
            float(np.nanmedian(history.series[keys[component]])),
            float(direction * np.nanmax(direction * values)),
            float(window.times[int(np.argmax(begun))]),
        )
    return found


class _Traffic:
    """The requests of each component, by which its deviations are weighed."""

    def __init__(
        self, history: Metrics, window: Metrics, alarmed: str, metric: str, statistic: str
    ) -> None:
        found = None if is_sum(statistic) else find_traffic(history, metric, statistic)
        # A metric without a name counts nothing, and no series is of it.
        self._kind = found or ("", "")
        self._history = history
        self._window = window
        self._alarmed = alarmed
        counts = [v for key, v in window.series.items() if key[1:] == self._kind]
        self._scale = _scaler(
            [*counts, *(v for key, v in history.series.items() if key[1:] == self._kind)]
        )

    def of(self, component: str) -> tuple[Floats, float]:
        """Give a component's requests in each row, and what they usually are.

        One that is not counted takes the counts of the alarm's component, and without those each
        row counts once.
        """
        keys = [SeriesKey(c, *self._kind) for c in (component, self._alarmed)]
        for key in keys:
            if key in self._history.series and key in self._window.series:
                known = self._scale(self._history.series[key])
                known = known[~np.isnan(known)]
                usual = float(np.median(known)) if len(known) else 0.0
                counts = self._scale(self._window.series[key])
                return np.where(np.isnan(counts), usual, counts), usual
        return np.ones(len(self._window.times)), 1.0


def _of(metrics: Metrics, keys: dict[str, SeriesKey]) -> list[Floats]:
    return [metrics.series[key] for key in keys.values()]


def _scaler(values: list[Floats]) -> Callable[[Floats], Floats]:
    """Give what makes values small enough to calculate with, by a power of two: exactly."""
    largest = max(
        (float(np.max(np.abs(v), initial=0, where=~np.isnan(v))) for v in values), default=0
    )
    shift = max(0, math.frexp(largest)[1] - _SAFE_EXPONENT)
    return lambda array: np.ldexp(array, -shift)


def _rows_before(times: Floats, at: float) -> int:
    """Count the rows that ended before the alarm; the time of a row is the start of its period."""
    if len(times) == 1:
        return int(times[0] < at)
    return int(np.count_nonzero(times + np.median(np.diff(times)) <= at)) if len(times) else 0


def _direction(
    pasts: dict[str, Floats], nows: dict[str, Floats], alarmed: str, params: Params, *, summed: bool
) -> int:
    known = {c: values[~np.isnan(values)] for c, values in pasts.items()}
    known = {c: values for c, values in known.items() if len(values) >= params.min_history}
    undecided = 0.0
    if alarmed in known:
        moved = nows[alarmed] - np.median(known[alarmed])
        undecided = math.fsum(moved[~np.isnan(moved)])
    # Sums can be wrong both ways: requests that do not come, requests that come too often.
    return worse_direction([] if summed else known.values(), undecided)


def _typical(pasts: dict[str, Floats]) -> float:
    """Give what the metric usually is, over all components: a floor for those where it is 0."""
    known = [np.abs(values[~np.isnan(values)]) for values in pasts.values()]
    known = [values for values in known if len(values)]
    usual = float(np.median([np.median(values) for values in known])) if known else 0.0
    return usual or max((float(values.max()) for values in known), default=0.0)
