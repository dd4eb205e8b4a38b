"""What the conditions of rules are called, and what a verdict on them means for the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tocsin.rules.compiler import Program, compile_conditions
from tocsin.rules.conditions import All, Condition, Not
from tocsin.rules.schema import Rule

MATCHED, AMONG, STEP = -1, -2, 0
"""What a condition is to its rule: its event counts, may interrupt a run, or reaches a step."""


def compile_rules(rules: Sequence[Rule]) -> tuple[Program, dict[str, tuple[int, int]]]:
    """Compile all conditions of all rules, and note what each of their names means."""
    meaning: dict[str, tuple[int, int]] = {}

    def conditions() -> Iterator[tuple[str, Condition]]:
        for number, rule in enumerate(rules):
            meaning[f"{rule.id}:match"] = (number, MATCHED)
            yield f"{rule.id}:match", _match(rule)
            if rule.consecutive:
                meaning[f"{rule.id}:among"] = (number, AMONG)
                yield f"{rule.id}:among", rule.among or All(())
            for index, step in enumerate(rule.escalate):
                if step.when is not None:
                    meaning[f"{rule.id}:step{index}"] = (number, STEP + index)
                    yield f"{rule.id}:step{index}", All((_match(rule), step.when))

    return compile_conditions(conditions()), meaning


def _match(rule: Rule) -> Condition:
    return rule.when if rule.unless is None else All((rule.when, Not(rule.unless)))
