"""What is asked, and what is answered: metrics, dependencies, an alarm, and candidates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class SeriesKey(NamedTuple):
    """Which component, which metric of it, and which statistic of that metric."""

    component: str
    metric: str
    statistic: str


@dataclass(frozen=True, eq=False)
class Metrics:
    """Series over the same instants; NaN stands for a value that is missing.

    Args:
        times: The instants in seconds, each later than the one before.
        series: The values of each series, as many as there are instants. What is not finite is
            taken for missing.

    Raises:
        ValueError: If the times do not rise, or a series is not as long as they are.
    """

    times: Floats
    series: Mapping[SeriesKey, Floats]

    def __init__(
        self,
        times: npt.ArrayLike,
        series: Mapping[SeriesKey, npt.ArrayLike] | Mapping[tuple[str, str, str], npt.ArrayLike],
    ) -> None:
        instants = np.array(times, dtype=np.float64)
        if instants.ndim != 1 or not np.all(np.isfinite(instants)):
            raise ValueError("times: expected a sequence of finite numbers")
        if np.any(np.diff(instants) <= 0):
            row = int(np.argmax(np.diff(instants) <= 0)) + 1
            raise ValueError(f"times: expected each later than the one before, row {row} is not")
        copies = {}
        for key, values in series.items():
            copy = np.array(values, dtype=np.float64)
            if copy.shape != instants.shape:
                raise ValueError(
                    f"series {tuple(key)!r}: expected {len(instants)} values as there are times, "
                    f"found {len(copy) if copy.ndim == 1 else f'shape {copy.shape}'}"
                )
            copy[~np.isfinite(copy)] = np.nan
            copies[SeriesKey(*key)] = copy
        object.__setattr__(self, "times", instants)
        object.__setattr__(self, "series", copies)


@dataclass(frozen=True)
class Graph:
    """Which components call which: what a component calls, it depends on."""

    calls: Mapping[str, Collection[str]]

    def called_by(self, component: str) -> frozenset[str]:
        """Give the components that a component calls, without itself."""
        return frozenset(self.calls.get(component, ())) - {component}

    def distances(self, start: str) -> dict[str, int]:
        """Give every component that `start` depends on, and by how many calls; `start` by none."""
        found = {start: 0}
        edge = {start}
        while edge:
            edge = {c for caller in edge for c in self.called_by(caller)} - found.keys()
            found |= dict.fromkeys(edge, max(found.values()) + 1)
        return found


@dataclass(frozen=True)
class Alarm:
    """What set off the alarm: a statistic of a metric of a component, and when, in seconds."""

    component: str
    metric: str
    statistic: str
    at: float


@dataclass(frozen=True)
class Params:
    """How strict the ranking is; the defaults are meant to fit any metric.

    Args:
        threshold: How much evidence it takes to name a cause, in normal ranges.
        persistence: The share of the rows from the alarm on that as many rows of the window must
            deviate as, and two rows at least.
        rare: The share of normal windows that may deviate as much as a normal range.
        floor: What a normal range is at least, relative to the usual value.
        material: How large a deviation must be beside the alarm's usual spread, to matter to it.
        excuse: How far a deviating callee excuses its caller.
        min_history: How many values a series needs before it is judged.

    Raises:
        ValueError: If a value is out of its range.
    """

    threshold: float = 4.5
    persistence: float = 0.25
    rare: float = 0.01
    floor: float = 0.001
    material: float = 1.0
    excuse: float = 0.9
    min_history: int = 30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            upper = 1 if field.name in {"persistence", "rare", "excuse"} else float("inf")
            if not 0 < value <= upper:
                limits = "above 0" if upper > 1 else "above 0 and at most 1"
                raise ValueError(f"{field.name}: expected a number {limits}, found {value!r}")


@dataclass(frozen=True)
class Evidence:
    """Why a component is a candidate.

    Args:
        metric: The metric that deviates.
        statistic: The statistic of that metric.
        usual: The median of its history.
        worst: The worst value in the window.
        unusual: How far it deviates, in normal ranges of its own: 1 is rare.
        onset: When it first deviated by half of what it did lastingly.
        explained: The share of its deviation that the deviating components account for that
            it calls.
        explained_by: Those components.
        correlation: How closely it moves with the alarm's series, None where that is not known.
        distance: How many calls it is away from the alarm's component.
    """

    metric: str
    statistic: str
    usual: float
    worst: float
    unusual: float
    onset: float
    explained: float
    explained_by: frozenset[str]
    correlation: float | None
    distance: int


@dataclass(frozen=True)
class Candidate:
    """A component that may be the root cause.

    Args:
        component: Its name.
        rank: Its place; candidates that nothing tells apart share the first of their places.
        score: How likely it is beside the other candidates; the scores add up to 1.
        evidence: Why it is a candidate, as data.
        words: The same as a sentence.
    """

    component: str
    rank: int
    score: float
    evidence: Evidence
    words: str
