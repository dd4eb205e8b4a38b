"""Reads the fenced blocks of a page, and runs each as what it says it is.

A comment before a block, invisible to readers, says more about it: `<!-- file: NAME -->` writes
it to a file, `<!-- continues -->` keeps the names of the Python block before, `<!-- output -->` is
what that block printed, `<!-- exit: 2 -->` is how a command ends, `<!-- figure -->` is only shown.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin.errors import RulesetError
from tocsin.rules.cases import run_cases
from tocsin.rules.loader import Ruleset, load_documents, load_mapping
from tocsin.rules.schema import RulePart
from tocsin.selection import Selection, load_plugins, select_rules, select_rulesets
from tocsin.settings import IncidentResponseSettings, load_settings
from tocsin.yamlfile import read_text

ROOT = Path(__file__).parents[2]
NOT_RUN = {
    "make run": "runs until it is stopped; test_quickstart runs what it runs",
    "make test": "runs these tests",
    "pip install": "needs the network; .ci/run installs the packages with make",
}
"""Commands that pages show and tests do not run, by how they begin, and why."""
_FENCE = re.compile(r"( *)(`{3,})([\w-]*)\s*")
_DIRECTIVE = re.compile(r"<!-- (\w+)(?:: (.+?))? -->")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SECONDS = 120
_RULE = {"id": "example", "title": "Example", "incident_type": "example", "severity": "medium"}
_WHEN = {"event_type": "example"}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and where it stands."""

    place: str
    line: int
    language: str
    text: str
    directives: dict[str, str | None]

    def fail(self, message: str) -> AssertionError:
        return AssertionError(f"{self.place}:{self.line}: {message}")


def pages() -> list[Path]:
    """List every page of the project."""
    patterns = ("*.md", "core/*.md", "rulesets/*.md", "plugins/*/*.md", "docs/**/*.md")
    return sorted(path for p in (*patterns, "examples/**/*.md") for path in ROOT.glob(p))


def read_blocks(path: Path) -> Iterator[Block]:
    """Read the fenced blocks of a page, in order."""
    place = str(path.relative_to(ROOT))
    directives: dict[str, str | None] = {}
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    for number, line in lines:
        found = _DIRECTIVE.fullmatch(line.strip())
        opening = _FENCE.fullmatch(line)
        if found:
            directives[found[1]] = found[2]
        elif opening:
            body: list[str] = []
            for _, inner in lines:
                if inner.strip() == opening[2]:
                    break
                body.append(inner)
            else:
                raise AssertionError(f"{place}:{number}: the block does not end")
            text = textwrap.dedent("\n".join(body)) + "\n"
            yield Block(place, number, opening[3], text, directives)
            directives = {}
        elif "```" in line:
            raise AssertionError(f"{place}:{number}: a fence that is not read as one")
        elif line.strip():
            directives = {}


@dataclass(slots=True)
class Page:
    """Runs the blocks of one page, in one folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    not_run: set[str] = field(default_factory=set)

    def run(self, block: Block) -> None:
        """Run a block; one of an unknown language fails."""
        runner = getattr(self, f"_{block.language}", None) if block.language else None
        if runner is None:
            raise block.fail(f"nothing can run a block of language {block.language!r}")
        if name := block.directives.get("file"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(block.text, "utf-8")
        runner(block)

    def _python(self, block: Block) -> None:
        name = Path(block.directives.get("file") or "__main__").stem
        if "continues" not in block.directives:
            self.names = {"__name__": name, "__file__": str(self.folder / f"{name}.py")}
        code = compile(
            "\n" * block.line + block.text,
            str(ROOT / block.place),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            result = eval(code, self.names)  # noqa: S307 - our own pages
            if inspect.iscoroutine(result):
                asyncio.run(result)
        self.printed = output.getvalue()

    def _text(self, block: Block) -> None:
        if "output" in block.directives:
            compare(block, block.text.splitlines(), self.printed)
        elif not {"file", "figure"} & set(block.directives):
            raise block.fail("text must be a file, an output or a figure")

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _jsonl(self, block: Block) -> None:
        for line in block.text.splitlines():
            json.loads(line)

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _yaml(self, block: Block) -> None:
        document = read_text(block.text, path=block.place)
        data = document.data
        if document.problems or not isinstance(data, dict):
            raise block.fail(f"not a YAML mapping: {document.problems}")
        if "ruleset" in data:
            _check_rules(block, load_documents([document])[0])
        elif data.keys() <= RulePart.model_fields.keys():
            _check_fragment(block, data)
        else:
            inside = data.keys() <= IncidentResponseSettings.model_fields.keys()
            text = textwrap.indent(block.text, "  ")
            self._check_settings(
                f"incident_response:\n{text}" if inside else block.text,
                self.folder / (block.directives.get("file") or "block.yaml"),
            )

    def _check_settings(self, text: str, path: Path) -> None:
        path.write_text(text, "utf-8")
        known = dict.fromkeys(_VARIABLE.findall(text), "https://example.com/") | self.environment
        loaded = load_settings(path, environment=known)
        plugins = load_plugins(loaded)
        selection = Selection(loaded, plugins)
        selection.channels(), selection.sources(), selection.detectors(), selection.correlators()
        selection.check()
        select_rules(loaded, select_rulesets(loaded, plugins))

    def _console(self, block: Block) -> None:
        commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        if commands.pop(0) or not commands:
            raise block.fail("expected lines that begin with '$ '")
        for part in commands:
            command, _, expected = part.replace("\\\n", " ").partition("\n")
            self._command(block, command, expected.splitlines())

    _sh = _console

    def _command(self, block: Block, command: str, expected: list[str]) -> None:
        left_out = next((start for start in NOT_RUN if command.startswith(start)), None)
        if left_out is not None:
            self.not_run.add(left_out)
            return
        variables = {name: v for name, v in os.environ.items() if not name.startswith("TOCSIN_")}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env={
                **variables,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != int(block.directives.get("exit") or 0):
            raise block.fail(f"`{command}` ended with {done.returncode}:\n{done.stdout}")
        compare(block, expected, done.stdout)


def compare(block: Block, expected: list[str], found: str) -> None:
    """Compare lines but for blanks; `...` stands for anything, alone in a line for any lines."""
    patterns = [
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in _lines("\n".join(expected))
    ]
    lines = "".join(f"{line}\n" for line in _lines(found))
    if patterns and re.fullmatch("".join(patterns), lines) is None:
        raise block.fail("expected:\n" + "\n".join(expected) + f"\nfound:\n{lines}")


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _check_rules(block: Block, ruleset: Ruleset) -> None:
    failed = [result for result in run_cases(ruleset.rules) if not result.passed]
    if failed:
        raise block.fail(f"the ruleset's own tests fail: {failed}")


def _check_fragment(block: Block, data: dict[str, Any]) -> None:
    """Check a part of a rule: what it leaves out is made up."""
    rule = {**_RULE, "when": _WHEN, **data}
    try:
        _check_rules(block, load_mapping({"ruleset": "example", "rules": [rule]}))
    except RulesetError as error:
        raise block.fail(str(error)) from error
