"""Writes what pages say of the code: `python -m tests.docs.generate`, with `--check` only compares.

A page holds `<!-- generated: NAME -->` and `<!-- end -->`; what is between them comes from here.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel

from tests.docs import commands, fields, source, words
from tocsin.capabilities import (
    CommandPlugin,
    Correlator,
    CorrelatorPlugin,
    Detector,
    DetectorPlugin,
    LinePattern,
    Notifier,
    NotifierPlugin,
    PatternFactory,
    Placement,
    RulesetPlugin,
    Source,
    SourceBatch,
    SourceContext,
    SourcePlugin,
)
from tocsin.manager import IncidentManager
from tocsin.models import (
    Detection,
    Incident,
    IncidentEvent,
    IncidentSeverity,
    IncidentStatus,
    IncidentType,
    Notice,
    TimelineEntry,
)
from tocsin.notification import TOLD
from tocsin.plugins import ANNOUNCEMENTS
from tocsin.rules import schema
from tocsin.rules.conditions import OPERATORS
from tocsin.rules.loader import TITLE_NAMES
from tocsin.settings import Settings

ROOT = Path(__file__).parents[2]
_REGION = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ANCHORS = {
    "WindowPart": "[window](#window)",
    "CountLimit": "[bounds](#bounds)",
    "DistinctLimit": "[bounds](#bounds), and a field",
    "EscalatePart": "list of [steps](#escalate)",
    "EscalateIf": "[what must hold](#if)",
    "ConsecutivePart": "true, false or [among](#require_consecutive)",
    "CasePart": "list of [tests](#tests)",
    "CaseEvent": "list of [events](#events)",
    "CaseExpectation": "list of [expectations](#expect)",
    "RulePart": "list of [rules](#a-rule)",
}
_RULESET: dict[str, type[BaseModel]] = {
    "The file": schema.RulesetPart,
    "A rule": schema.RulePart,
    "`window`": schema.WindowPart,
    "Bounds": schema.DistinctLimit,
    "`escalate`": schema.EscalatePart,
    "`if`": schema.EscalateIf,
    "`require_consecutive`": schema.ConsecutivePart,
    "`tests`": schema.CasePart,
    "`events`": schema.CaseEvent,
    "`expect`": schema.CaseExpectation,
}


def hooks(*, announcements: bool) -> Iterator[str]:
    """Describe the hooks of one sort."""
    for hook in source.hooks():
        if (hook.name in ANNOUNCEMENTS) is announcements:
            yield f"### `{hook.name}`\n"
            yield f"`{hook.signature}`\n"
            yield f"{hook.text} Since {hook.since}.\n"
            yield from (f"- `{name}`: {text}" for name, text in hook.arguments.items())
            yield ("\n" if hook.arguments else "") + "<!-- continues -->"
            yield f"```python\n{hook.example}\n```\n"


def classes(*described: type) -> Iterator[str]:
    """Describe what Python code meets: what each class is for, its fields and methods."""
    for described_class in described:
        yield f"### `{described_class.__name__}`\n"
        yield f"{source.summary(described_class)}\n"
        for name, text in source.members(described_class):
            yield f"- `{name}`" + (f": {text}" if text else "")
        yield ""


def values(*enums: type[IncidentSeverity | IncidentStatus | IncidentType]) -> Iterator[str]:
    """List the values of enumerations."""
    for enum in enums:
        yield f"- `{enum.__name__}`: {', '.join(f'`{value.value}`' for value in enum)}"


def settings() -> Iterator[str]:
    """Describe every setting, section by section."""
    for section in fields.sections(Settings):
        yield f"### {f'`{section.name}`' if section.name else 'The file'}\n"
        yield f"{section.text}\n"
        yield from _table("setting", section.fields)


def ruleset() -> Iterator[str]:
    """Describe every field of a ruleset file."""
    for title, model in _RULESET.items():
        yield f"### {title}\n"
        yield f"{words.SUMMARIES.get(title) or source.summary(model)}\n"
        yield from _table("field", fields.rows(model, _ANCHORS))


def _table(first: str, rows: list[fields.Row]) -> Iterator[str]:
    yield f"| {first} | type | default | meaning |\n|---|---|---|---|"
    for row in rows:
        yield f"| `{row.name}` | {row.type} | {row.default} | {_cell(row.meaning)} |"
    yield ""


def operators() -> Iterator[str]:
    """Describe every operator, each with a condition, a value that satisfies it and one not."""
    yield "| operator | true where the field | example | true for | false for |"
    yield "|---|---|---|---|---|"
    for name in OPERATORS:
        found = words.OPERATORS[name]
        yield (
            f"| `{name}` | {found.meaning} | `{found.example}` | {words.shown(found.true)} "
            f"| {words.shown(found.false)} |"
        )


def titles() -> Iterator[str]:
    """List what a title can name."""
    yield ", ".join(f"`{{{name}}}`" for name in TITLE_NAMES) + " and the fields of `group_by`"


def told() -> Iterator[str]:
    """List the changes that people are told of."""
    yield ", ".join(f"`{change}`" for change in TOLD)


def errors() -> Iterator[str]:
    """Describe every error and what to do."""
    for error in source.errors():
        yield f"## `{error.name}`\n"
        yield f"{error.text} Derived from `{error.base}`.\n"
        yield from (f"- `{name}`: {text}" for name, text in error.attributes.items())
        gap = "\n" if error.attributes else ""
        yield f"{gap}**What to do:** {words.ERRORS[error.name]}\n"


def layers() -> Iterator[str]:
    """List the layers of the core, as the import contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    found = next(c for c in contracts["contracts"] if c["type"] == "layers")["layers"]
    yield "| layer | module | what it is for |\n|---|---|---|"
    for number, layer in reversed(list(enumerate(reversed(found)))):
        for name in re.findall(r"\w+", layer):
            if (text := source.module_summary(name)) is not None:
                yield f"| {number} | `{name}` | {_cell(text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


REGIONS: dict[str, Callable[[], Iterator[str]]] = {
    "announcements": lambda: hooks(announcements=True),
    "capabilities": lambda: classes(
        NotifierPlugin, Notifier, SourcePlugin, Source, SourceBatch, SourceContext, LinePattern,
        PatternFactory, DetectorPlugin, Detector, CorrelatorPlugin, Correlator, Placement,
        RulesetPlugin, CommandPlugin,
    ),
    "commands": commands.pages,
    "errors": errors,
    "layers": layers,
    "manager": lambda: classes(IncidentManager),
    "models": lambda: classes(IncidentEvent, Detection, Incident, TimelineEntry, Notice),
    "operators": operators,
    "registration": lambda: hooks(announcements=False),
    "ruleset": ruleset,
    "settings": settings,
    "titles": titles,
    "told": told,
    "values": lambda: values(IncidentSeverity, IncidentStatus, IncidentType),
}  # fmt: skip


def generated(text: str) -> str:
    """Give a page with what is generated as the code has it now."""

    def region(match: re.Match[str]) -> str:
        lines = "\n".join(REGIONS[match[2]]()).rstrip("\n")
        return f"{match[1]}\n{lines}\n\n{match[3]}"

    return _REGION.sub(region, text)


def pages() -> list[Path]:
    """List the pages that may hold something generated."""
    return sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are not current."""
    stale = [
        page for page in pages() if generated(page.read_text("utf-8")) != page.read_text("utf-8")
    ]
    for page in stale:
        name = page.relative_to(ROOT)
        if "--check" in arguments:
            sys.stdout.write(f"{name} is not current: run `make docs`\n")
        else:
            page.write_text(generated(page.read_text("utf-8")), "utf-8")
            sys.stdout.write(f"{name} written\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
