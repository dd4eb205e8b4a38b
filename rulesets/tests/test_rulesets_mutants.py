"""The tests inside the rulesets can fail: each rule, changed a little, breaks one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import tocsin_rulesets
from tocsin.clock import SECOND
from tocsin.models import IncidentSeverity
from tocsin.rules.cases import run_cases
from tocsin.rules.conditions import All, AnyOf, Comparison, Condition, Not
from tocsin.rules.fields import format_path
from tocsin.rules.loader import load_files
from tocsin.rules.schema import Aggregation, Rule, Step

FOLDER = Path(tocsin_rulesets.__file__).parent
RULES = [rule for ruleset in load_files([FOLDER]) for rule in ruleset.rules]
BORDERS = {"gt": "gte", "gte": "gt", "lt": "lte", "lte": "lt"}
"""What differs only exactly at the border."""

Mutant = tuple[str, Rule]


def mutants(rule: Rule) -> Iterator[Mutant]:
    yield from window_mutants(rule)
    yield from time_mutants(rule)
    for severity in IncidentSeverity:
        if severity != rule.severity:
            yield f"severity {severity}", rule.with_changes(severity=severity)
    for index, path in enumerate(rule.group_by):
        rest = (*rule.group_by[:index], *rule.group_by[index + 1 :])
        yield f"not grouped by {format_path(path)}", replace(rule, group_by=rest)
    for name, when in changed(rule.when):
        yield f"when: {name}", replace(rule, when=when)
    if rule.unless is not None:
        yield "no unless", replace(rule, unless=None)
        for name, unless in changed(rule.unless):
            yield f"unless: {name}", replace(rule, unless=unless)
    for index, step in enumerate(rule.escalate):
        before, after = rule.escalate[:index], rule.escalate[index + 1 :]
        yield f"no step {index}", replace(rule, escalate=(*before, *after))
        for name, other in step_mutants(step):
            yield f"step {index}: {name}", replace(rule, escalate=(*before, other, *after))


def window_mutants(rule: Rule) -> Iterator[Mutant]:
    threshold = rule.threshold()
    if threshold is None:
        return
    for change in (-1, 1):
        yield f"threshold {change:+}", rule.with_changes(threshold=threshold[1] + change)
        yield f"window {change:+}s", rule.with_changes(within=rule.within + change * SECOND)
        if rule.min_components is not None:
            other = replace(rule, min_components=rule.min_components + change)
            yield f"components {change:+}", other


def time_mutants(rule: Rule) -> Iterator[Mutant]:
    if rule.once_within is not None:
        yield "told as often as it comes", replace(rule, once_within=0)
        yield "told twice as often", replace(rule, once_within=rule.once_within // 2)
        yield "told a second too late", replace(rule, once_within=rule.once_within + SECOND)
        yield "told only once", replace(rule, once_within=3650 * 86_400 * SECOND)
    if rule.resolve_after is not None:
        for change in (-1, 1):
            other = replace(rule, resolve_after=rule.resolve_after + change * SECOND)
            yield f"over {change:+}s", other
        yield "never over", replace(rule, resolve_after=None)


def step_mutants(step: Step) -> Iterator[tuple[str, Step]]:
    if step.lasting is not None:
        yield "half the time", replace(step, lasting=step.lasting // 2)
        yield "a second too late", replace(step, lasting=step.lasting + SECOND)
    for change in (-1, 1):
        if step.aggregations:
            aggregations = tuple(shifted(a, change) for a in step.aggregations)
            yield f"limit {change:+}", replace(step, aggregations=aggregations)
    for name, when in changed(step.when) if step.when is not None else ():
        yield name, replace(step, when=when)
    if step.severity != IncidentSeverity.CRITICAL:
        yield "critical", replace(step, severity=IncidentSeverity.CRITICAL)


def shifted(aggregation: Aggregation, change: int) -> Aggregation:
    limit = aggregation.limit
    bounds = {name: value + change for name, value in limit if isinstance(value, int)}
    return replace(aggregation, limit=limit.model_copy(update=bounds))


def changed(condition: Condition) -> Iterator[tuple[str, Condition]]:
    """Change one thing anywhere in a condition: its sense, a part, a constant or a border."""
    yield f"not {condition}", Not(condition)
    match condition:
        case All(parts) | AnyOf(parts):
            make = type(condition)
            for index, part in enumerate(parts):
                before, after = parts[:index], parts[index + 1 :]
                yield f"without {part}", make((*before, *after))
                for name, other in changed(part):
                    yield name, make((*before, other, *after))
        case Not(part):
            yield from ((name, Not(other)) for name, other in changed(part))
        case Comparison(path, "in", tuple(items)):
            for item in items:
                rest = tuple(other for other in items if other != item)
                yield f"without {item}", Comparison(path, "in", rest)
        case Comparison(path, operator, operand) if operator in BORDERS:
            border = BORDERS[operator]
            yield f"{format_path(path)} {border}", Comparison(path, border, operand)
            for change in (-1, 1):
                yield (
                    f"{format_path(path)} {change:+}",
                    Comparison(path, operator, operand + change),
                )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_change_is_noticed(rule: Rule) -> None:
    changes = dict(mutants(rule))
    assert len(changes) >= 8
    unnoticed = [
        name
        for name, mutant in changes.items()
        if all(result.passed for result in run_cases([mutant]))
    ]
    assert unnoticed == []
