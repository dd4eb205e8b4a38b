"""The ranking: who is anomalous, whose anomaly nobody else explains, and who explains the alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tocsin_causes_metrics.findings import Finding, find
from tocsin_causes_metrics.model import Alarm, Candidate, Evidence, Graph, Metrics, Params
from tocsin_causes_metrics.wording import put_into_words

_RARE = 1.0
"""A component takes part in an incident once it deviates by its own normal range."""
_FEWEST_TO_CORRELATE = 3


def rank(
    graph: Graph, history: Metrics, window: Metrics, alarm: Alarm, params: Params | None = None
) -> tuple[Candidate, ...]:
    """Rank the components that may have caused an alarm, the likeliest first.

    Only what the alarm's component depends on is looked at. Nothing depends on the names of
    components or on any order in which they are given.

    Args:
        graph: Which components call which.
        history: Normal metrics, at the same distance in time as those of the window.
        window: The metrics around the alarm, from some rows before it on.
        alarm: The alarm.
        params: How strict to be.

    Returns:
        The candidates, or nothing where nothing deviates enough to be named.
    """
    params = params or Params()
    distances = graph.distances(alarm.component)
    found = find(history, window, alarm, distances, params)
    symptom = found.get(alarm.component)
    involved = {c: f for c, f in found.items() if _takes_part(f, symptom, params)}
    if not any(
        _evidence(f, None if c == alarm.component else symptom) >= params.threshold
        for c, f in involved.items()
    ):
        return ()
    suspects = [
        _suspect(
            component,
            graph.called_by(component) & involved.keys(),
            distances[component],
            involved=involved,
            symptom=symptom,
            excuse=params.excuse,
        )
        for component in involved
    ]
    total = math.fsum(suspect.blame for suspect in suspects) or 1.0
    suspects.sort(key=lambda suspect: (suspect.order, suspect.component))
    orders = [suspect.order for suspect in suspects]
    candidates = []
    for suspect in suspects:
        evidence = suspect.evidence(involved[suspect.component], alarm)
        candidates.append(
            Candidate(
                suspect.component,
                orders.index(suspect.order) + 1,
                suspect.blame / total,
                evidence,
                put_into_words(suspect.component, evidence, alarm),
            )
        )
    return tuple(candidates)


@dataclass(frozen=True)
class _Suspect:
    component: str
    blame: float
    explained: float
    explained_by: frozenset[str]
    correlation: float | None
    distance: int
    order: tuple[float, ...]

    def evidence(self, finding: Finding, alarm: Alarm) -> Evidence:
        return Evidence(
            metric=alarm.metric,
            statistic=finding.statistic,
            usual=finding.usual,
            worst=finding.worst,
            unusual=finding.deviation.unusual,
            onset=finding.onset,
            explained=self.explained,
            explained_by=self.explained_by,
            correlation=self.correlation,
            distance=self.distance,
        )


def _takes_part(finding: Finding, symptom: Finding | None, params: Params) -> bool:
    """Tell whether a component deviates at all, and enough to matter at the alarm's component."""
    needed = params.material * symptom.spread if symptom else 0.0
    return finding.deviation.unusual >= _RARE and finding.lasting >= needed and finding.amount > 0


def _evidence(finding: Finding, symptom: Finding | None) -> float:
    """Add up what a component and the alarm's component show.

    The alarm's component counts as much as the component itself at most: it may deviate for any
    other reason too.
    """
    own = finding.deviation.unusual
    return own + (min(own, max(0.0, symptom.deviation.unusual)) if symptom else 0.0)


def _suspect(
    component: str,
    callees: frozenset[str],
    distance: int,
    *,
    involved: dict[str, Finding],
    symptom: Finding | None,
    excuse: float,
) -> _Suspect:
    finding = involved[component]
    passed_on = math.fsum(involved[callee].amount for callee in callees)
    explained = min(1.0, passed_on / finding.amount)
    correlation = _correlation(finding, symptom)
    agreement = (1 + (correlation or 0.0)) / 2
    blame = finding.amount * (1 - excuse * explained) * agreement
    order = (-blame, finding.onset, -finding.deviation.unusual, distance, -finding.amount)
    return _Suspect(component, blame, explained, callees, correlation, distance, order)


def _correlation(finding: Finding, symptom: Finding | None) -> float | None:
    if symptom is None:
        return None
    known = ~np.isnan(finding.amounts) & ~np.isnan(symptom.amounts)
    if np.count_nonzero(known) < _FEWEST_TO_CORRELATE:
        return None
    ours, theirs = finding.amounts[known], symptom.amounts[known]
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return None
    # The size is taken away first, as squares of large amounts would overflow.
    found = np.corrcoef(ours / np.max(np.abs(ours)), theirs / np.max(np.abs(theirs)))[0, 1]
    return float(found) if math.isfinite(found) else None
