"""Says in words what the evidence says in numbers."""

from __future__ import annotations

from tocsin_causes_metrics.model import Alarm, Evidence

_FROM_CERTAIN = 0.995
_NAMED = 3


def put_into_words(component: str, evidence: Evidence, alarm: Alarm) -> str:
    """Tell in a sentence why a component is a candidate.

    Args:
        component: The component.
        evidence: The evidence.
        alarm: The alarm that it may have caused.
    """
    deviation = (
        f"{evidence.metric} ({evidence.statistic}) of {component} went to {evidence.worst:.4g} "
        f"from a usual {evidence.usual:.4g}, {evidence.unusual:.3g} times its normal range, "
        f"{_when(evidence.onset - alarm.at)}"
    )
    parts = [deviation]
    if evidence.explained_by:
        names = sorted(evidence.explained_by)
        shown = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{shown}{more}, which it calls, explain {_percent(evidence.explained)} of it")
    else:
        parts.append("nothing that it calls explains it")
    if component == alarm.component:
        parts.append("it is the component of the alarm")
    else:
        calls = "a call" if evidence.distance == 1 else f"{evidence.distance} calls"
        parts.append(f"it is {calls} away from {alarm.component}")
        if evidence.correlation is not None:
            parts.append(f"its correlation with the alarm is {evidence.correlation:.2f}")
    return "; ".join(parts)


def _when(seconds: float) -> str:
    if seconds == 0:
        return "from the alarm on"
    side = "before" if seconds < 0 else "after"
    return f"from {abs(seconds):.4g} s {side} the alarm on"


def _percent(share: float) -> str:
    return "all" if share >= _FROM_CERTAIN else f"{100 * share:.0f} %"
