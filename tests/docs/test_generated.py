"""What is generated is current, complete and true."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from tests.docs import commands, fields, generate, source, words
from tests.docs.blocks import ROOT, read_blocks
from tocsin import IncidentEvent, IncidentManager, IncidentSeverity, Settings, hookspecs
from tocsin.capabilities import Capability, CommandPlugin
from tocsin.incidents import open_incident
from tocsin.models import Detection
from tocsin.plugins import ANNOUNCEMENTS, Plugins
from tocsin.rules.conditions import OPERATORS, holds
from tocsin.rules.syntax import read_condition
from tocsin.yamlfile import read_text

REFERENCE = ROOT / "docs" / "reference"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(**metadata: Any) -> IncidentEvent:
    return IncidentEvent(
        event_id="e", timestamp=NOW, event_type="tick", source="clock", metadata=metadata
    )


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_current(page: Path) -> None:
    text = page.read_text("utf-8")
    assert generate.generated(text) == text, "run `make docs`"


def test_every_part_is_on_some_page() -> None:
    text = "".join(page.read_text("utf-8") for page in generate.pages())
    assert [name for name in generate.REGIONS if f"<!-- generated: {name} -->" not in text] == []


def test_check_names_stale_pages_and_writing_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    (tmp_path / "README.md").write_text("nothing\n", "utf-8")
    page.write_text("<!-- generated: told -->\nstale\n<!-- end -->\n", "utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "docs/page.md is not current" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert "stale" not in page.read_text("utf-8")


# -- hooks -----------------------------------------------------------------------------------------


def marked_hooks() -> dict[str, Any]:
    return {
        name: function
        for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("tocsin_")
    }


def test_every_hook_is_documented() -> None:
    page = (REFERENCE / "hooks.md").read_text("utf-8")
    described = {hook.name: hook for hook in source.hooks()}
    assert set(described) == set(marked_hooks())
    for name, function in marked_hooks().items():
        hook = described[name]
        assert f"`{hook.signature}`" in page
        arguments = list(inspect.signature(function).parameters)
        assert [part.split(":")[0] for part in _inside(hook.signature)] == arguments
        assert set(hook.arguments) == set(arguments)
        assert hook.text.endswith(".")
        assert hook.since
        assert hook.example in page


def _inside(signature: str) -> list[str]:
    inner = signature.partition("(")[2].rpartition(")")[0]
    return inner.split(", ") if inner else []


@pytest.fixture
def examples() -> ModuleType:
    """Give the examples of all hooks as the one module that the page says they are."""
    module = ModuleType("examples")
    vars(module)["__name__"] = "tocsin_rulesets"  # any package: files are looked for in it
    for block in read_blocks(REFERENCE / "hooks.md"):
        exec(compile(block.text, block.place, "exec"), vars(module))  # noqa: S102 - our own page
    return module


async def test_examples_of_hooks_work(
    examples: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = Plugins(discover=False, extra=[examples])
    (info,) = plugins.found()
    assert (info.status, info.problem) == ("loaded", "")
    assert len(info.offers) == len(get_args(Capability))
    assert all(plugins.listens(hook) for hook in ANNOUNCEMENTS)
    assert plugins.get(CommandPlugin, "hello").factory().name == "hello"
    settings = {
        "database": str(tmp_path / "tocsin.db"),
        "rulesets": ["services"],
        "plugins": {"disable": []},
        "detectors": {"parity": {}},
        "correlators": {"region": {}},
        "sources": {"ticks": {}},
        "incident_response": {"notifications": {"bell": {}}},
    }
    vars(examples).pop("tocsin_rulesets")  # names a file that is not there
    async with IncidentManager(settings, plugins=[examples], run_sources=False) as manager:
        for number in range(3):
            await manager.submit_event(event().model_copy(update={"event_id": str(number)}))
        (incident,) = await manager.check_for_incidents()
    output = capsys.readouterr().out
    for text in ("watching main", "no longer watching", "3 events", f"{incident.id} opened", "\a"):
        assert text in output


def test_examples_of_capabilities_work(examples: ModuleType) -> None:
    detection = Detection(
        rule_id="r",
        group={"metadata.region": "eu"},
        detection_id="d",
        detected_at=NOW,
        first_event_at=NOW,
        severity=IncidentSeverity.LOW,
        incident_type="t",
        title="t",
    )
    incident, _ = open_incident(detection, ())
    correlator = vars(examples)["ByRegion"](None)
    assert correlator.place(detection, [incident]).incident_id == incident.id
    assert correlator.place(detection.model_copy(update={"group": {}}), [incident]) is None
    detector, again = (vars(examples)["Parity"](None) for _ in range(2))
    assert [len(detector.observe(event())) for _ in range(4)] == [0, 0, 1, 0]
    again.load(detector.dump())
    assert len(again.observe(event())) == 1


# -- settings and rulesets -------------------------------------------------------------------------


def test_every_setting_has_a_meaning() -> None:
    found = [(part.name, row) for part in fields.sections(Settings) for row in part.fields]
    assert ("incident_response.detection", "max_groups") in {(n, row.name) for n, row in found}
    assert [f"{name}.{row.name}" for name, row in found if not row.meaning] == []


def test_every_field_of_a_ruleset_has_a_meaning() -> None:
    rows = [
        (title, row)
        for title, model in generate._RULESET.items()
        for row in fields.rows(model, generate._ANCHORS)
    ]
    assert [f"{title}: {row.name}" for title, row in rows if not row.meaning] == []


def test_every_operator_is_described() -> None:
    assert tuple(words.OPERATORS) == OPERATORS


@pytest.mark.parametrize("name", OPERATORS)
def test_example_of_operator_is_true(name: str) -> None:
    found = words.OPERATORS[name]
    problems: list[str] = []
    data = read_text(f"metadata.x: {found.example}", path="example").data
    condition = read_condition(data, (), lambda _where, text, _key: problems.append(text))
    assert condition is not None, problems
    assert list(data["metadata.x"]) == [name]
    for value, expected in ((found.true, True), (found.false, False)):
        metadata = {} if value is words.MISSING else {"x": value}
        assert holds(condition, event(**metadata)) is expected


# -- commands and errors ---------------------------------------------------------------------------


def test_help_is_what_the_program_says() -> None:
    page = (REFERENCE / "cli.md").read_text("utf-8")
    helps = dict(commands.helps())
    assert len(helps) > 20
    path = "tocsin incidents list"
    done = subprocess.run(
        [sys.executable, "-m", *path.split(), "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    said = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    said = said.replace(f"{Path(sys.executable).name} -m ", "", 1)
    assert said == helps[path]
    assert said in page


def test_every_error_is_documented() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    found = [error.name for error in source.errors()]
    assert sorted(found) == sorted(words.ERRORS)
    assert [name for name in found if f"## `{name}`" not in page] == []
