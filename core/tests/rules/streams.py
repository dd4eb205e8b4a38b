"""Rules and streams of events that the tests of the engine share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import Phase
from hypothesis import strategies as st

from tocsin.clock import SECOND, from_micros
from tocsin.models import IncidentEvent, Signal
from tocsin.rules.engine import Engine
from tocsin.rules.loader import load_mapping
from tocsin.rules.matcher import InlineMatcher
from tocsin.rules.schema import Rule

START = 1_767_225_600 * SECOND
"""The first instant of all streams: 2026-01-01T00:00:00Z, in microseconds."""
Spec = Mapping[str, Any]
"""A rule as it stands in a file."""
NO_EXPLANATION = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Explaining a failure takes minutes where an example is a whole stream."""


def event(name: object, at: float = 0, **fields: Any) -> IncidentEvent:
    """Make an event so many seconds after the start."""
    return IncidentEvent.model_validate(
        {
            "event_id": str(name),
            "timestamp": from_micros(START + round(at * SECOND)),
            "event_type": "fail",
            "source": "api",
            **fields,
        }
    )


def micros(at: float) -> int:
    """Give the instant so many seconds after the start."""
    return START + round(at * SECOND)


def load(*specs: Spec) -> tuple[Rule, ...]:
    """Load rules; what they leave out is filled in."""
    rules = [
        {
            "id": f"r{number}",
            "title": "trouble",
            "incident_type": "error_burst",
            "severity": "low",
            "when": {"event_type": "fail"},
            **spec,
        }
        for number, spec in enumerate(specs)
    ]
    return load_mapping({"ruleset": "tests", "rules": rules}).rules


class Player:
    """Puts events through an engine, judged in this process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._matcher = InlineMatcher(engine.program)

    def play(self, events: Sequence[IncidentEvent], *, mute: bool = False) -> list[Signal]:
        """Handle one batch."""
        prepared = self.engine.prepare(events)
        self.engine.learn(prepared, self._matcher.judge(prepared.questions()))
        return self.engine.apply(prepared, mute=mute)


def play(
    rules: Sequence[Rule],
    events: Sequence[IncidentEvent],
    *,
    until: int | None = None,
    lateness: int = 0,
) -> list[Signal]:
    """Put a whole stream through a new engine, and let time pass to its end."""
    player = Player(Engine(rules, allowed_lateness=lateness))
    signals = player.play(events)
    if until is not None:
        signals += player.engine.advance(until + lateness)
    return signals + player.engine.finish()


def as_bytes(signals: Sequence[Signal]) -> list[str]:
    """Write signals as they would be stored."""
    return [signal.model_dump_json() for signal in signals]


# -- strategies: spans of a few microseconds, so that events often meet at the edges of windows --

_OPERATORS = ("eq", "ne", "lt", "lte", "gt", "gte")
_SPANS = st.integers(1, 14).map(lambda number: f"{number}us")


@st.composite
def _limits(draw: st.DrawFn) -> dict[str, int]:
    if draw(st.integers(0, 3)) == 0:
        low = draw(st.integers(1, 3))
        return {"gte": low, "lte": low + draw(st.integers(0, 2))}
    # Thresholds are what people write; the others make conditions that rise as events leave.
    operator = draw(st.sampled_from(("gte", "gte", "gte", *_OPERATORS)))
    return {operator: draw(st.integers(1, 4))}


@st.composite
def _steps(draw: st.DrawFn, window: Spec | None, *, resolves: bool) -> list[dict[str, Any]]:
    steps = []
    for severity in draw(st.sampled_from(([], ["high"], ["medium", "critical"]))):
        kinds = ["when"]
        if window is not None:
            kinds += [name for name in ("count", "distinct") if name in window]
        if window is not None or resolves:
            kinds.append("lasting")
        condition: dict[str, Any] = {}
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2, unique=True)):
            if kind == "when":
                condition[kind] = {"metadata.bad": True}
            elif kind == "lasting":
                condition[kind] = draw(_SPANS)
            else:
                condition[kind] = {"gte": draw(st.integers(1, 5))}
                if kind == "distinct":
                    condition[kind]["field"] = "metadata.user"
        steps.append({"if": condition, "severity": severity})
    return steps


def _shortest_quiet(window: Spec) -> int:
    """Give what `resolve_after` must not be shorter than."""
    bounds = {name for limit in window.values() if isinstance(limit, dict) for name in limit}
    return 0 if bounds <= {"gte", "gt", "field"} else int(window["within"].removesuffix("us")) - 1


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Draw a rule for failures, with any of the features that a rule can have."""
    spec: dict[str, Any] = {}
    window: dict[str, Any] | None = None
    if draw(st.integers(0, 5)):
        window = {"within": draw(_SPANS)}
        for name in draw(
            st.sampled_from((["count"], ["count"], ["distinct"], ["count", "distinct"]))
        ):
            window[name] = draw(_limits())
            if name == "distinct":
                window[name]["field"] = "metadata.user"
        spec["window"] = window
        if draw(st.integers(0, 3)) == 0:
            spec["min_components"] = draw(st.integers(1, 3))
        if draw(st.integers(0, 2)) == 0:
            spec["require_consecutive"] = draw(
                st.sampled_from((True, {"among": {"event_type": "fine"}}))
            )
    if draw(st.booleans()):
        spec["group_by"] = draw(st.sampled_from((["source"], ["source", "metadata.zone"])))
    if draw(st.booleans()):
        spec["unless"] = {"metadata.planned": True}
    if draw(st.booleans()):
        spec["once_within"] = draw(_SPANS)
    if draw(st.booleans()):
        shortest = _shortest_quiet(window) if window is not None else 0
        spec["resolve_after"] = f"{shortest + draw(st.integers(1, 14))}us"
    steps = draw(_steps(window, resolves="resolve_after" in spec))
    return {**spec, "escalate": steps} if steps else spec


@st.composite
def streams(draw: st.DrawFn, *, most: int = 30) -> list[IncidentEvent]:
    """Draw failures and other events in order of time, several at some instants."""
    events: list[IncidentEvent] = []
    at = START
    fewest = draw(st.sampled_from((0, most // 3, most * 2 // 3)))
    for gap, kind, source, user, component, flags in draw(
        st.lists(
            st.tuples(
                st.sampled_from((0, 1, 1, 2, 2, 3, 5, 9, 16)),
                st.sampled_from(("fail", "fail", "fail", "fail", "fine", "other")),
                st.sampled_from("ab"),
                st.sampled_from((None, "x", "y", 1, True)),
                st.sampled_from((None, "db", "cache")),
                st.integers(0, 15),
            ),
            min_size=fewest,
            max_size=most,
        )
    ):
        at += gap
        metadata = {"zone": flags & 1, "planned": not flags & 6, "bad": flags & 8 == 8}
        if user is not None:
            metadata["user"] = user
        if component is not None:
            metadata["component"] = component
        events.append(
            IncidentEvent(
                # Not in the order of time: nothing may depend on that.
                event_id=f"{len(events) * 7 % 31:02}-{len(events)}",
                timestamp=from_micros(at),
                event_type=kind,
                source=source,
                metadata=metadata,
            )
        )
    return events
