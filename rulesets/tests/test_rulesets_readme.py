"""The README describes the rules as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tocsin_rulesets
from tocsin.durations import format_duration
from tocsin.rules.conditions import event_types, paths
from tocsin.rules.loader import load_files
from tocsin.rules.schema import Rule

FOLDER = Path(tocsin_rulesets.__file__).parent
README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
RULES = {rule.id: rule for ruleset in load_files([FOLDER]) for rule in ruleset.rules}
ROWS = {
    cells[0].strip("`"): cells
    for line in README.partition("## Metadata")[0].splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def metadata_of(rule: Rule) -> set[str]:
    conditions = [rule.when, rule.unless, *(step.when for step in rule.escalate)]
    used = {path for condition in conditions if condition for path in paths(condition)}
    fields = {path[1] for path in (*used, *rule.group_by) if path[0] == "metadata"}
    return fields | ({"component"} if rule.min_components else set())


def test_every_rule_has_a_row() -> None:
    assert set(ROWS) == set(RULES)


@each_rule
def test_row_tells_the_truth(rule: Rule) -> None:
    _, fires, severity, _, types, metadata, recommended = ROWS[rule.id]
    threshold = rule.threshold()
    if threshold is None:
        assert fires.startswith("the first")
    else:
        assert fires.startswith(f"{threshold[1]} within {format_duration(rule.within)}")
    assert severity == rule.severity.value
    assert frozenset(names(types)) == event_types(rule.when)
    assert set(names(metadata)) == metadata_of(rule)
    assert names(recommended) == list(rule.recommend)


@each_rule
def test_row_tells_every_step(rule: Rule) -> None:
    raised = ROWS[rule.id][3]
    assert re.findall(r"(\w+): ", raised) == [step.severity.value for step in rule.escalate]
    for step in rule.escalate:
        assert step.lasting is None or f"after {format_duration(step.lasting)}" in raised


def test_every_field_is_explained() -> None:
    table = README.partition("## Metadata")[2].partition("## Actions")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    explained = {name for cell in first_cells for name in names(cell)}
    assert explained == {name for rule in RULES.values() for name in metadata_of(rule)}
