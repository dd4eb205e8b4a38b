"""What a manager takes as its settings, and what it says of wrong ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.support import event, running, settings, stored
from tocsin import IncidentManager, Settings
from tocsin.errors import ConfigError, PluginError, RulesetError, TocsinError
from tocsin.hookspecs import hookimpl
from tocsin.settings import load_settings


def as_path(config: dict[str, Any], folder: Path) -> Path:
    path = folder / "tocsin.yaml"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("form", ["mapping", "path", "text", "settings", "loaded"])
async def test_settings_in_any_form(tmp_path: Path, form: str) -> None:
    mapping = settings(tmp_path)
    forms: dict[str, Callable[[], Any]] = {
        "mapping": lambda: mapping,
        "path": lambda: as_path(mapping, tmp_path),
        "text": lambda: str(as_path(mapping, tmp_path)),
        "settings": lambda: Settings.model_validate(mapping),
        "loaded": lambda: load_settings(mapping),
    }
    async with running(forms[form]()) as manager:
        assert await manager.submit_event(event("a"))
        assert len(await manager.check_for_incidents()) == 1
    assert len(await stored(mapping["database"])) == 1


async def test_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with running({"rulesets": [], "incident_response": {"detection": {}}}) as manager:
        await manager.submit_event(event("a"))
        assert await manager.check_for_incidents() == []
    assert (tmp_path / "tocsin.db").is_file()


async def test_relative_files_start_at_the_settings_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    config = settings(folder, database="data.db")
    config["rulesets"] = [Path(config["rulesets"][0]).name]
    async with running(as_path(config, folder)) as manager:
        await manager.submit_event(event("a"))
        assert len(await manager.check_for_incidents()) == 1
    assert (folder / "data.db").is_file()


def test_wrong_settings_are_said_at_once_and_all_together(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.yaml"
    path.write_text("stream: 'a b'\nincident_respons: {}\nincident_response:\n  enabld: true\n")
    with pytest.raises(ConfigError) as caught:
        IncidentManager(path)
    lines = str(caught.value).splitlines()
    assert [re.sub("^.*tocsin.yaml:", "", line)[:5] for line in lines] == [
        "1:9: ",
        "2:1: ",
        "4:3: ",
    ]
    assert "did you mean 'incident_response'?" in lines[1]
    assert "did you mean 'enabled'?" in lines[2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rulesets": ["none.yaml"]}, ConfigError, "neither an installed ruleset nor a file"),
        ({"rules": {"r00": {"enabled": False}}}, ConfigError, "no rule 'r00'; did you mean 'r0'"),
        ({"rules": {"r0": {"threshold": 3}}}, ConfigError, "'r0' has no threshold"),
        ({"sources": {"nothing": {}}}, ConfigError, "there is no source 'nothing'"),
        ({"detectors": {"nothing": {}}}, ConfigError, "there is no detector 'nothing'"),
        ({"correlators": {"nothing": {}}}, ConfigError, "there is no correlator 'nothing'"),
        ({"plugins": {"disable": ["nothing"]}}, ConfigError, "cannot disable plugin 'nothing'"),
    ],
)
async def test_what_does_not_exist_is_said_at_the_start(
    tmp_path: Path, change: dict[str, Any], error: type[TocsinError], message: str
) -> None:
    manager = IncidentManager({**settings(tmp_path), **change})
    with pytest.raises(error, match=message):
        await manager.start()
    # Nothing was made, and nothing is held: a start with right settings works.
    async with running(settings(tmp_path)) as again:
        assert await again.submit_event(event("a"))


async def test_a_notifier_that_does_not_exist(tmp_path: Path) -> None:
    manager = IncidentManager(settings(tmp_path, notifications={"slack": {"enabled": True}}))
    with pytest.raises(ConfigError, match=r"notifications\.slack: there is no notifier 'slack'"):
        await manager.start()


async def test_one_that_is_not_enabled_need_not_exist(tmp_path: Path) -> None:
    async with running(settings(tmp_path, notifications={"slack": {"enabled": False}})):
        pass


async def test_wrong_rules(tmp_path: Path) -> None:
    with pytest.raises(RulesetError, match=r"yaml:1:[0-9]+: expected .*, found 'awful'"):
        await IncidentManager(settings(tmp_path, {"severity": "awful"})).start()


async def test_operators_changes_to_rules(tmp_path: Path) -> None:
    config = settings(tmp_path, {}, {"window": {"count": {"gte": 5}, "within": "5m"}})
    config["rules"] = {"r0": {"enabled": False}, "r1": {"threshold": 2, "severity": "critical"}}
    async with running(config) as manager:
        await manager.submit_events([event("a"), event("b")])
        assert [(i.rule_id, i.severity) for i in await manager.check_for_incidents()] == [
            ("r1", "critical")
        ]


async def test_not_enabled_still_accepts_and_keeps(tmp_path: Path) -> None:
    config = settings(tmp_path)
    config["incident_response"]["enabled"] = False
    async with running(config) as manager:
        assert await manager.submit_event(event("a"))
        assert await manager.check_for_incidents() == []
        assert manager.get_statistics()["events"]["accepted"] == 1
        assert manager.get_statistics()["engine"]["rules"] == 0


class TestNotStarted:
    async def test_it_says_what_to_do(self, tmp_path: Path) -> None:
        manager = IncidentManager(settings(tmp_path))
        calls = (
            manager.submit_event(event("a")),
            manager.submit_events([event("a")]),
            manager.check_for_incidents(),
            manager.process_incident("inc_1"),
            manager.get_incident("inc_1"),
        )
        for call in calls:
            with pytest.raises(TocsinError, match=r"not running; write `async with IncidentMan"):
                await call
        with pytest.raises(TocsinError, match="not running"):
            manager.get_statistics()
        assert not manager.running
        await manager.stop()

    async def test_nothing_is_made(self, tmp_path: Path) -> None:
        IncidentManager(settings(tmp_path))
        assert not (tmp_path / "tocsin.db").exists()

    async def test_twice(self, tmp_path: Path) -> None:
        async with running(settings(tmp_path)) as manager:
            with pytest.raises(TocsinError, match="already been started"):
                await manager.start()
            assert await manager.submit_event(event("a"))


async def test_a_plugin_given_in_python_with_a_hook_that_does_not_exist(tmp_path: Path) -> None:
    class Wrong:
        @hookimpl
        def tocsin_notifierz(self) -> None: ...

    manager = IncidentManager(settings(tmp_path), plugins=[Wrong()])
    with pytest.raises(PluginError, match="unknown hook 'tocsin_notifierz'; did you mean"):
        await manager.start()
