"""Reads ruleset files: every mistake at once, each with its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from tocsin.errors import Problem, RulesetError, nearest
from tocsin.rules.conditions import Condition
from tocsin.rules.fields import Path, format_path, parse_path
from tocsin.rules.schema import (
    AGGREGATES,
    Aggregation,
    ConsecutivePart,
    EscalateIf,
    EscalatePart,
    Rule,
    RulePart,
    RulesetPart,
    Step,
    WindowPart,
    ends_too_soon,
)
from tocsin.rules.syntax import read_condition
from tocsin.validation import validate, value_at
from tocsin.yamlfile import Document, Location, from_mapping, read_file, read_text

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
TITLE_NAMES = (*AGGREGATES, "within", "rule", "severity")
"""What a title can name besides the fields of `group_by`."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A ruleset file as read."""

    name: str
    description: str
    path: str
    rules: tuple[Rule, ...]


def load_files(paths: Iterable[FilePath]) -> tuple[Ruleset, ...]:
    """Read ruleset files; a directory stands for the `.yaml` and `.yml` files in it.

    Raises:
        RulesetError: all mistakes of all files.
    """
    documents: list[Document] = []
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
            documents += [read_file(file) for file in files]
            if not files:
                problem = Problem(str(path), 0, 0, "expected ruleset files (*.yaml), found none")
                documents.append(Document(str(path), problems=[problem]))
        else:
            documents.append(read_file(path))
    return load_documents(documents)


def load_text(text: str, *, path: str = "<text>") -> Ruleset:
    """Read one ruleset from a string.

    Raises:
        RulesetError: all mistakes in it.
    """
    return load_documents([read_text(text, path=path)])[0]


def load_mapping(data: Mapping[str, Any], *, path: str = "<mapping>") -> Ruleset:
    """Read one ruleset from Python data.

    Raises:
        RulesetError: all mistakes in it.
    """
    return load_documents([from_mapping(data, path=path)])[0]


def load_documents(documents: Sequence[Document]) -> tuple[Ruleset, ...]:
    """Read rulesets from documents.

    Raises:
        RulesetError: all mistakes of all documents; also a rule's id that stands twice.
    """
    problems: list[Problem] = []
    rulesets: list[Ruleset] = []
    seen: dict[str, str] = {}
    for document in documents:
        reader = _Reader(document)
        ruleset = reader.read()
        problems += reader.problems
        if ruleset is None:
            continue
        rulesets.append(ruleset)
        for index, rule_id in reader.ids:
            if rule_id in seen:
                message = f"rule {rule_id!r} is already defined in {seen[rule_id]}"
                problems.append(document.problem(("rules", index, "id"), message))
            seen[rule_id] = document.path
    if problems:
        raise RulesetError(problems)
    return tuple(rulesets)


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems = list(document.problems)
        self.ids: list[tuple[int, str]] = []

    def _report(self, location: Location, message: str, at_key: bool = False) -> None:  # noqa: FBT001, FBT002
        self.problems.append(self._document.problem(location, message, at_key=at_key))

    def read(self) -> Ruleset | None:
        if self._document.data is None:
            if not self.problems:
                self._report((), "expected a ruleset, found nothing")
            return None
        part, problems = validate(RulesetPart, self._document)
        self.problems += problems
        if part is None:
            rules = value_at(self._document.data, ("rules",))
            self._meaning_only(rules if isinstance(rules, list) else [])
            return None
        if not part.rules:
            self._report(("rules",), "expected at least one rule, found an empty list")
        built = [self._rule(part.ruleset, rule, ("rules", i)) for i, rule in enumerate(part.rules)]
        self.ids = [(index, rule.id) for index, rule in enumerate(part.rules)]
        good = tuple(rule for rule in built if rule is not None)
        return Ruleset(part.ruleset, part.description, self._document.path, good)

    def _meaning_only(self, rules: list[Any]) -> None:
        """Look at what the rules of a file mean whose form is wrong: all mistakes come at once."""
        for index, data in enumerate(rules):
            if isinstance(data, Mapping):
                where: Location = ("rules", index)
                part = _mended(data)
                if part is not None:
                    self._rule("", part, where)

    def _condition(self, data: Any, where: Location) -> Condition | None:
        return read_condition(data, where, self._report)

    def _optional(self, data: Any, where: Location) -> Condition | None:
        return self._condition(data, where) if data is not None else None

    def _rule(self, ruleset: str, part: RulePart, where: Location) -> Rule | None:
        before = len(self.problems)
        when = self._condition(part.when, (*where, "when"))
        unless = self._optional(part.unless, (*where, "unless"))
        group_by = self._group_by(part.group_by, where)
        aggregations = self._aggregations(part.window, (*where, "window"))
        within = part.window.within if part.window else 0
        among = None
        if isinstance(part.require_consecutive, ConsecutivePart):
            place = (*where, "require_consecutive", "among")
            among = self._condition(part.require_consecutive.among, place)
        if part.window is not None and not aggregations:
            self._report((*where, "window"), f"expected one of {', '.join(AGGREGATES)}")
        if part.window is not None and within == 0:
            self._report((*where, "window", "within"), "expected more than 0s")
        if part.window is None:
            self._no_window(part, where)
        steps = tuple(
            self._step(step, part, (*where, "escalate", index))
            for index, step in enumerate(part.escalate)
        )
        if ends_too_soon(part.resolve_after, within, aggregations):
            message = "must not be shorter than 'within' where the window has an upper bound"
            self._report((*where, "resolve_after"), message)
        self._title(part.title, group_by, where)
        self._cases(part, where)
        if len(self.problems) > before or when is None:
            return None
        return Rule(
            id=part.id,
            ruleset=ruleset,
            title=part.title,
            description=part.description,
            enabled=part.enabled,
            incident_type=part.incident_type,
            severity=part.severity,
            when=when,
            unless=unless,
            group_by=group_by,
            aggregations=aggregations,
            within=within,
            once_within=part.once_within,
            consecutive=part.require_consecutive is not False,
            among=among,
            min_components=part.min_components,
            escalate=steps,
            resolve_after=part.resolve_after,
            recommend=part.recommend,
            tests=part.tests,
        )

    def _group_by(self, names: Sequence[str], where: Location) -> tuple[Path, ...]:
        result: list[Path] = []
        for index, text in enumerate(names):
            path = self._path(text, (*where, "group_by", index))
            if path is not None and path in result:
                self._report((*where, "group_by", index), f"field {text!r} stands twice")
            elif path is not None:
                result.append(path)
        return tuple(result)

    def _path(self, text: str, where: Location) -> Path | None:
        try:
            return parse_path(text)
        except ValueError as error:
            self._report(where, str(error))
            return None

    def _aggregations(
        self, part: WindowPart | EscalateIf | None, where: Location
    ) -> tuple[Aggregation, ...]:
        result: list[Aggregation] = []
        for name in AGGREGATES if part is not None else ():
            limit = getattr(part, name)
            if limit is None:
                continue
            if not limit.bounds():
                self._report((*where, name), "expected a bound such as {gte: 5}")
            field = getattr(limit, "field", None)
            path = self._path(field, (*where, name, "field")) if field is not None else None
            result.append(Aggregation(name, limit, path))
        return tuple(result)

    def _no_window(self, part: RulePart, where: Location) -> None:
        for name in ("require_consecutive", "min_components"):
            if getattr(part, name):
                self._report((*where, name), f"{name!r} needs a window", at_key=True)

    def _step(self, step: EscalatePart, part: RulePart, where: Location) -> Step:
        place = (*where, "if")
        aggregations = self._aggregations(step.if_, place)
        for aggregation in aggregations:
            name = aggregation.name
            judged = getattr(part.window, name) if part.window is not None else None
            if part.window is None:
                self._report((*place, name), "needs a window", at_key=True)
            elif judged is None:
                self._report((*place, name), f"the window has no {name!r}", at_key=True)
            elif getattr(judged, "field", None) != getattr(getattr(step.if_, name), "field", None):
                message = f"the window's {name!r} is of field {judged.field!r}"
                self._report((*place, name, "field"), message)
        if step.if_.lasting is not None and part.window is None and part.resolve_after is None:
            self._report((*place, "lasting"), "needs a window or 'resolve_after'", at_key=True)
        when = self._optional(step.if_.when, (*place, "when"))
        if not aggregations and step.if_.lasting is None and step.if_.when is None:
            self._report(place, "expected one of count, distinct, lasting, when")
        if step.severity <= part.severity:
            message = f"expected a severity above {part.severity}, found {step.severity}"
            self._report((*where, "severity"), message)
        return Step(step.severity, aggregations, step.if_.lasting, when)

    def _title(self, title: Any, group_by: tuple[Path, ...], where: Location) -> None:
        names = [*TITLE_NAMES, *(format_path(path) for path in group_by)]
        for name in _PLACEHOLDER.findall(title) if isinstance(title, str) else ():
            if name not in names:
                hint = nearest(name, names) or f"; known: {', '.join(names)}"
                self._report((*where, "title"), f"unknown name {{{name}}}{hint}")

    def _cases(self, part: RulePart, where: Location) -> None:
        names = [case.name for case in part.tests]
        for index, name in enumerate(names):
            if name in names[:index]:
                message = f"another test is already named {name!r}"
                self._report((*where, "tests", index, "name"), message)


_PLACEHOLDERS = {"id": "x", "title": "x", "incident_type": "x", "severity": "low", "when": None}
_WINDOW = {"count": {"gte": 1}, "distinct": {"field": "source", "gte": 1}, "within": "1s"}


def _mended(data: Mapping[str, Any]) -> RulePart | None:
    """Give a rule with what is wrong in its form left out, to look at the rest."""
    try:
        return RulePart.model_validate(data)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    known = {info.alias or name for name, info in RulePart.model_fields.items()}
    rest = {key: value for key, value in data.items() if key in known and key not in wrong}
    if "window" in wrong:
        # What the steps say of the window cannot be judged without it.
        rest = {**rest, "window": _WINDOW, "escalate": ()}
    if "when" in wrong or "when" not in rest:
        rest["when"] = {"source": "x"}
    try:
        return RulePart.model_validate({**_PLACEHOLDERS, **rest})
    except ValidationError:
        return None
