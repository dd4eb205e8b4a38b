"""Runs the tests that stand inside ruleset files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tocsin.clock import from_micros, to_micros
from tocsin.durations import format_duration
from tocsin.models import Detection, IncidentEvent, Quarantined, Signal
from tocsin.rules.engine import Engine
from tocsin.rules.matcher import InlineMatcher
from tocsin.rules.schema import CaseEvent, CaseExpectation, CasePart, Rule
from tocsin.validation import shown

START = 1_767_225_600_000_000
"""When every test starts: 2026-01-01T00:00:00Z."""
_DEFAULTS = {"source": "test", "event_type": "test", "severity": "medium"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one test went."""

    rule_id: str
    name: str
    problems: tuple[str, ...]
    """What was expected and did not come, or came and was not expected."""

    @property
    def passed(self) -> bool:
        """Whether all came as expected."""
        return not self.problems


def run_cases(rules: Sequence[Rule]) -> list[CaseResult]:
    """Run the tests of rules, each against its own rule alone."""
    return [run_case(rule, case) for rule in rules for case in rule.tests]


def run_case(rule: Rule, case: CasePart) -> CaseResult:
    """Run one test."""
    try:
        events = list(case_events(case))
    except ValidationError as error:
        problems = tuple(
            f"event: {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        )
        return CaseResult(rule.id, case.name, problems)
    except ValueError as error:
        return CaseResult(rule.id, case.name, (str(error),))
    signals = _play(rule.with_changes(enabled=True), events, case.until)
    kinds = {"detection", *(expected.kind for expected in case.expect)}
    found = [signal for signal in signals if signal.kind in kinds]
    return CaseResult(rule.id, case.name, tuple(_compare(case.expect, found)))


def case_events(case: CasePart) -> Iterator[IncidentEvent]:
    """Make the events of a test; `{n}` in their text becomes the number of the repetition."""
    at, number = 0, 0
    for index, part in enumerate(case.events):
        at = part.at if part.at is not None else at
        for repetition in range(part.repeat):
            at += part.every if repetition else 0
            yield _event(part, index, repetition, at, number)
            number += 1


def _event(part: CaseEvent, index: int, repetition: int, at: int, number: int) -> IncidentEvent:
    fields: dict[str, Any] = {
        **_DEFAULTS,
        "event_id": f"event-{number}",
        **_numbered(part.model_extra or {}, repetition + 1),
    }
    if "timestamp" in fields:
        raise ValueError(f"event {index}: use 'at' for the time, not 'timestamp'")
    return IncidentEvent.model_validate({**fields, "timestamp": from_micros(START + at)})


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", str(number))
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    return value


def _play(rule: Rule, events: Sequence[IncidentEvent], until: int | None) -> list[Signal]:
    engine = Engine([rule])
    matcher = InlineMatcher(engine.program)
    ordered = sorted(events, key=lambda event: event.timestamp)
    prepared = engine.prepare(ordered)
    engine.learn(prepared, matcher.judge(prepared.questions()))
    signals = engine.apply(prepared)
    if until is not None:
        signals += engine.advance(START + until)
    return signals + engine.finish()


def _compare(expected: Sequence[CaseExpectation], found: Sequence[Signal]) -> Iterator[str]:
    rest = list(found)
    for expectation in expected:
        match = next((signal for signal in rest if _fits(expectation, signal)), None)
        if match is None:
            yield f"expected {_describe_expectation(expectation)}, which did not come"
        else:
            rest.remove(match)
    for signal in rest:
        yield f"did not expect {_describe(signal)}"


def _offset(signal: Signal) -> int:
    instant = signal.detected_at if isinstance(signal, Detection) else signal.at
    return to_micros(instant) - START


def _fits(expectation: CaseExpectation, signal: Signal) -> bool:
    if signal.kind != expectation.kind or _offset(signal) != expectation.at:
        return False
    if isinstance(signal, Quarantined):
        return False
    group = expectation.group or {}
    if any(signal.group.get(name) != value for name, value in group.items()):
        return False
    return expectation.severity is None or expectation.severity == getattr(signal, "severity", None)


def _describe_expectation(expectation: CaseExpectation) -> str:
    text = f"a {expectation.kind} at {format_duration(expectation.at)}"
    text += f" of severity {expectation.severity}" if expectation.severity else ""
    return text + (f" for {_describe_group(expectation.group)}" if expectation.group else "")


def _describe(signal: Signal) -> str:
    text = f"a {signal.kind} at {format_duration(max(_offset(signal), 0))}"
    severity = getattr(signal, "severity", None)
    text += f" of severity {severity}" if severity else ""
    group = getattr(signal, "group", None)
    return text + (f" for {_describe_group(group)}" if group else "")


def _describe_group(group: dict[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in group.items())
