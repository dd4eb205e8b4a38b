"""Fixtures that the tests of the command line share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.support import RULES, SETTINGS, event, ok, write_lines

EVENTS = (
    *(event(number) for number in range(3)),
    event(10, "disk_full", "db", message="no space", severity="critical"),
    event(11, "disk_full", "web"),
    event(20, "note"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with settings and rules and no database yet."""
    (tmp_path / "tocsin.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOCSIN_CONFIG", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder whose database holds three incidents: it takes a while, so only once."""
    folder = tmp_path_factory.mktemp("submitted")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    settings = folder / "tocsin.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    events = write_lines(folder / "events.jsonl", EVENTS)
    ok("events submit --config", settings, events)
    return folder


@pytest.fixture
def world(home: Path, submitted: Path) -> Path:
    """Give the current folder with a database of its own that holds the three incidents."""
    shutil.copytree(submitted, home, dirs_exist_ok=True)
    return home
