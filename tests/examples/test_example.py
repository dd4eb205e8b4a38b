"""The example of a plugin package works, installed or given as a module."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from tests.docs.blocks import read_blocks
from tocsin import IncidentManager
from tocsin.capabilities import CommandPlugin, RulesetPlugin
from tocsin.plugins import Plugins
from tocsin.rules.cases import run_cases
from tocsin.rules.loader import load_files
from tocsin.yamlfile import read_text

PACKAGE = Path(__file__).parents[2] / "examples" / "tocsin-example"
SOURCE = str(PACKAGE / "src")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SOURCE)
    return importlib.import_module("tocsin_example.plugin")


@pytest.mark.timeout(120)
async def test_settings_of_the_readme(example: ModuleType, tmp_path: Path) -> None:
    (block,) = [block for block in read_blocks(PACKAGE / "README.md") if block.language == "yaml"]
    settings: dict[str, Any] = read_text(block.text, path="README.md").data
    spool, notices = tmp_path / "orders", tmp_path / "notices.jsonl"
    spool.mkdir()
    for number in range(2):
        (spool / f"order-{number}").touch()
    assert set(settings["sources"]["spool"]) == {"folder", "limit", "interval"}
    settings["sources"]["spool"] = {"folder": str(spool), "limit": 1, "interval": "20ms"}
    settings["incident_response"]["notifications"]["file"]["path"] = str(notices)
    settings |= {"database": str(tmp_path / "tocsin.db"), "rulesets": ["spool"]}
    async with IncidentManager(settings, plugins=[example]) as manager:
        while not (found := await manager.check_for_incidents()):
            pass
    assert [incident.type for incident in found] == ["spool_full"]
    first = json.loads(notices.read_text("utf-8").splitlines()[0])
    assert (first["change"], first["incident_id"]) == ("opened", found[0].id)


def test_command_and_ruleset(example: ModuleType, tmp_path: Path) -> None:
    plugins = Plugins(discover=False, extra=[example])
    (tmp_path / "file").touch()
    command = plugins.get(CommandPlugin, "spool-count").factory()
    assert CliRunner().invoke(command, [str(tmp_path)]).output == "1 files\n"
    file = plugins.get(RulesetPlugin, "spool").file
    results = run_cases([r for ruleset in load_files([Path(str(file))]) for r in ruleset.rules])
    assert results
    assert [result for result in results if not result.passed] == []


def test_its_own_tests_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "tests"],
        cwd=PACKAGE,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_its_entry_point_names_its_module(example: ModuleType) -> None:
    assert f'"{example.__name__}"' in (PACKAGE / "pyproject.toml").read_text("utf-8")
