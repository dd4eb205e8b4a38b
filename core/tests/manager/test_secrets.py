"""What plugins say goes into messages and logs without the secrets that they were given."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationInfo, field_validator

from manager.support import event, eventually, running, settings
from tocsin import IncidentManager
from tocsin.capabilities import NotifierPlugin, Params, SourceBatch, SourcePlugin
from tocsin.errors import ConfigError, RulesetError
from tocsin.hookspecs import hookimpl
from tocsin.models import Notice

SECRET = "hunter2-is-secret!"
REFERENCE = "${TOCSIN_TESTS_SECRET}"


class Address(Params):
    key: str
    user: str = ""
    port: int = 0

    @field_validator("user", "port")
    @classmethod
    def _checked(cls, value: Any, info: ValidationInfo) -> Any:
        if value == "backwards":  # no search would find it so
            raise ValueError(f"not with {info.data['key'][::-1]}")
        if value == 1 and "!" in info.data["key"]:
            raise ValueError(f"not for {info.data['key'][::-1]}")
        return value


class Pager:
    """A notifier and a source that tell what they know."""

    def __init__(self, key: str) -> None:
        self.key = key

    def send(self, notice: Notice) -> None:
        raise ValueError(f"{notice.change}: refused by pager/{quote(self.key, safe='')}")

    async def batches(self, cursor: str | None) -> AsyncIterator[SourceBatch]:
        yield SourceBatch((event("paged", event_type="fail"),), cursor)
        raise ValueError(f"refused by pager/{self.key!r}")


def make(params: Address, *_: Any) -> Pager:
    if params.user == "nobody":
        raise ValueError(f"cannot page with {params.key[:10]}...")
    return Pager(params.key)


class Plugin:
    @hookimpl
    def tocsin_notifiers(self) -> Iterable[NotifierPlugin]:
        yield NotifierPlugin(name="pager", summary="Pages.", factory=make, params=Address)

    @hookimpl
    def tocsin_sources(self) -> Iterable[SourcePlugin]:
        yield SourcePlugin(name="pager", summary="Paged.", factory=make, params=Address)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_TESTS_SECRET", SECRET)
    monkeypatch.setenv("TOCSIN_TESTS_FOLDER", str(tmp_path / "hunter2"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"port": REFERENCE}, f"unable to parse string as an integer, found '{REFERENCE}'"),
        ({"prot": REFERENCE}, "unknown field 'prot'; did you mean 'port'?"),
        # A validator's own words are those about the reference, where these are the same mistake.
        ({"user": "backwards"}, f"not with {REFERENCE[::-1]}"),
        ({"port": 1}, "not accepted (the reason is left out, as it may show what was filled in)"),
        ({"user": "nobody"}, "pager: cannot page with ***..."),
    ],
)
async def test_mistakes_in_parameters(
    tmp_path: Path, params: Mapping[str, Any], message: str
) -> None:
    config = settings(tmp_path, notifications={"pager": {"key": REFERENCE, **params}})
    with pytest.raises(ConfigError) as caught:
        await IncidentManager(config, plugins=[Plugin()]).start()
    (problem,) = caught.value.problems
    assert problem.message.endswith(message)
    assert "hunter2" not in str(caught.value)
    assert SECRET[::-1] not in str(caught.value)


async def test_failures_while_it_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pager = {"pager": {"key": REFERENCE}}
    config = settings(tmp_path, notifications=pager, top={"sources": pager})
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        async with running(config, plugins=[Plugin()]) as manager:
            await eventually(lambda: manager.get_statistics()["notifications"]["failed"] == 1)
            reports = manager.get_statistics()["sources"]["pager"]["reports"]
    assert reports == ["ValueError: refused by pager/'***'"]
    assert "ValueError: opened: refused by pager/***" in caplog.text
    assert "hunter2" not in caplog.text


async def test_rulesets_are_named_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "hunter2").mkdir()
    (tmp_path / "hunter2" / "rules.yaml").write_text("nonsense: 1")
    folder = "${TOCSIN_TESTS_FOLDER}"
    for name in (folder, f"{folder}/rules.yaml"):
        config = {**settings(tmp_path), "rulesets": [name]}
        with pytest.raises(RulesetError) as caught:
            await IncidentManager(config).start()
        assert {problem.path for problem in caught.value.problems} == {f"{folder}/rules.yaml"}
        assert "hunter2" not in str(caught.value)
