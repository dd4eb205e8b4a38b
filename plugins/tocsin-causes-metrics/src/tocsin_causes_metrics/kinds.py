"""What kind of metric a metric is, told from its values and the usual words for statistics."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tocsin_causes_metrics.model import Alarm, Floats, Metrics

_TAIL = 0.01
_CLEARLY = 1.5
"""How much longer one tail must be: either is somewhat longer by chance."""
_MAJORITY = 2 / 3
_MEANS = ("average", "mean", "avg")
_SUMS = ("sum", "total", "count", "samplecount")


def choose_statistic(alarm: Alarm, history: Metrics, window: Metrics) -> str:
    """Give the statistic to judge an alarm's metric by: its mean, if the alarm is on a percentile.

    Means and sums of a callee add up to those of its caller; percentiles do not.

    Args:
        alarm: The alarm.
        history: Normal metrics.
        window: The metrics around the alarm.
    """
    if alarm.statistic.casefold() in _MEANS or is_sum(alarm.statistic):
        return alarm.statistic
    both = history.series.keys() & window.series.keys()
    statistics = {key.statistic for key in both if key[:2] == (alarm.component, alarm.metric)}
    means = {text for text in statistics if text.casefold() in _MEANS}
    return min(
        means, key=lambda text: (_MEANS.index(text.casefold()), text), default=alarm.statistic
    )


def is_sum(statistic: str) -> bool:
    """Tell whether a statistic adds up what happened, so that no number of requests weighs it."""
    return statistic.casefold() in _SUMS


def worse_direction(histories: Iterable[Floats], undecided: float) -> int:
    """Tell whether higher values of a metric are worse (1) or lower ones (-1).

    Normal values keep away from the bad side, and only now and then reach far into it: latencies
    have their long tail above, availabilities below.

    Args:
        histories: The normal values of the metric at each component, without missing ones.
        undecided: What decides by its sign where the tails do not.
    """
    votes = [vote for values in histories if (vote := _longer_tail(values))]
    if votes and abs(sum(votes)) >= (2 * _MAJORITY - 1) * len(votes):
        return 1 if sum(votes) > 0 else -1
    return -1 if undecided < 0 else 1


def _longer_tail(values: Floats) -> int:
    if not len(values):
        return 0
    low, middle, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL])
    above, below = high - middle, middle - low
    return int(above > _CLEARLY * below) - int(below > _CLEARLY * above)


def find_traffic(history: Metrics, metric: str, statistic: str) -> tuple[str, str] | None:
    """Find the metric and statistic that count the requests which another metric is about.

    Counts are whole numbers, and where no request was counted there is nothing that the other
    metric could be about. If several fit as well, the smallest is taken: bytes outnumber requests.

    Args:
        history: Normal metrics.
        metric: The other metric.
        statistic: Its statistic.
    """
    best: tuple[float, float, str, str] | None = None
    for kind in {(key.metric, key.statistic) for key in history.series} - {(metric, statistic)}:
        agreeing: list[bool] = []
        total = 0.0
        for key, values in history.series.items():
            if key[1:] != kind:
                continue
            known = values[~np.isnan(values)]
            if np.any(known < 0) or np.any(known != np.floor(known)):
                break
            subject = history.series.get(key._replace(metric=metric, statistic=statistic))
            if subject is not None:
                total += float(np.median(known)) if len(known) else 0.0
                agreeing += ((np.nan_to_num(values) > 0) == ~np.isnan(subject)).tolist()
        else:
            if agreeing and total:
                found = (-sum(agreeing) / len(agreeing), total, *kind)
                best = found if best is None else min(best, found)
    return best and (best[2], best[3])
