"""How far a component's series deviates in a window, measured against normal windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tocsin_causes_metrics.model import Floats, Params

_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_MOST = 1e6
"""What `unusual` is at most: a series that never moved has no range to measure by."""
_FEWEST_ROWS = 2
"""Single peaks are common in normal metrics, whatever the distance of the rows."""
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Deviation:
    """A series in the window, beside what it usually is.

    Args:
        usual: The median of the history.
        spread: The robust spread of the history.
        excess: How much worse each row is than usual and than it was before the alarm.
        lasting: The excess that as many rows reach as must deviate.
        unusual: How far it deviates lastingly, in normal ranges.
    """

    usual: float
    spread: float
    excess: Floats
    lasting: float
    unusual: float


@dataclass(frozen=True)
class Shape:
    """What a window looks like, and what the ranking asks of it.

    Args:
        rows: How many rows it has.
        before: How many of them lie before the alarm.
        direction: Which way is worse, 1 or -1.
        params: How strict to be.
    """

    rows: int
    before: int
    direction: int
    params: Params

    @property
    def lasting(self) -> int:
        """How many rows must deviate."""
        after = self.params.persistence * (self.rows - self.before)
        return min(self.rows, max(_FEWEST_ROWS, math.ceil(after - _ROUNDING)))

    def deviate(self, history: Floats, window: Floats, typical: float) -> Deviation | None:
        """Compare a window with all windows of the history, or give None for too short a history.

        Args:
            history: Normal values.
            window: The values of the window.
            typical: What the metric usually is at other components, for series that never move.
        """
        known = history[~np.isnan(history)]
        if len(known) < self.params.min_history or len(history) < self.rows:
            return None
        usual = float(np.median(known))
        spread = _MAD_TO_DEVIATION * float(np.median(np.abs(known - usual)))
        normal, _ = self._excess(sliding_window_view(history, self.rows), usual)
        lasting = self._lasting_excess(normal)
        lasting = lasting[np.isfinite(lasting)]
        if len(lasting) < self.params.min_history:
            return None
        excess, settled = self._excess(window[np.newaxis], usual)
        found = float(self._lasting_excess(excess)[0])
        reference = max(
            float(np.quantile(lasting, 1 - self.params.rare)),
            spread,
            self.params.floor * max(abs(usual), typical),
        )
        # What was there before the alarm is no cause of it, and makes the rest uncertain.
        scale = reference + float(settled[0])
        unusual = _MOST if found > 0 else 0.0
        if scale > 0 and math.isfinite(found):
            unusual = min(found / scale, _MOST)
        return Deviation(usual, spread, excess[0], found, unusual)

    def _excess(self, windows: Floats, usual: float) -> tuple[Floats, Floats]:
        worse = self.direction * (windows - usual)
        head = worse[:, : self.before]
        best = np.where(np.isnan(head), np.inf, head).min(axis=1, initial=np.inf)
        settled = np.where(np.isinf(best), 0.0, np.maximum(best, 0.0))
        return worse - settled[:, np.newaxis], settled

    def _lasting_excess(self, excess: Floats) -> Floats:
        """Give the excess that as many rows have as must deviate, -inf where too few are known."""
        ordered: Floats = np.sort(np.where(np.isnan(excess), -np.inf, excess), axis=1)
        return ordered[:, -self.lasting]
