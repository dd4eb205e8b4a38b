"""Each hook: what it is asked or told while a manager runs, and what its documentation says."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from manager.support import START, Bell, event, eventually, running, settings
from tocsin import Detection, Incident, IncidentEvent, IncidentSeverity, hookspecs
from tocsin.capabilities import (
    CommandPlugin,
    CorrelatorPlugin,
    DetectorPlugin,
    Params,
    Placement,
    RulesetPlugin,
    SourceBatch,
    SourcePlugin,
)
from tocsin.errors import ConfigError
from tocsin.hookspecs import hookimpl
from tocsin.plugins import ANNOUNCEMENTS, Plugins

HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith("tocsin_") and inspect.isfunction(function)
}


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_and_tested(name: str) -> None:
    text = inspect.getdoc(HOOKS[name]) or ""
    assert "Since: " in text
    assert "Example:\n" in text
    assert f"def {name}(" in text.split("Example:\n")[1]
    for parameter in inspect.signature(HOOKS[name]).parameters:
        assert f"{parameter}: " in text
    assert inspect.iscoroutinefunction(globals()[f"test_hook_{name}"])


def test_every_hook_is_called() -> None:
    """What is registered here is either collected at the start or announced."""
    registration = {name for name in HOOKS if not inspect.signature(HOOKS[name]).parameters}
    assert registration | set(ANNOUNCEMENTS) == set(HOOKS)
    assert not registration & set(ANNOUNCEMENTS)


# -- registration ----------------------------------------------------------------------------------


class Parity:
    """A detector: an even number of events is trouble."""

    class Params(Params):
        every: int = 2

    def __init__(self, params: Params) -> None:
        self.every = params.every
        self.seen: list[str] = []

    def observe(self, one: IncidentEvent) -> Sequence[Detection]:
        self.seen.append(one.event_id)
        if len(self.seen) % self.every:
            return ()
        return (
            Detection(
                detection_id=f"det_parity_{one.event_id}",
                rule_id="parity",
                detected_at=one.timestamp,
                first_event_at=one.timestamp,
                severity=IncidentSeverity.MEDIUM,
                incident_type="odd",
                title="an even number",
                event_ids=tuple(self.seen[-self.every :]),
            ),
        )

    def dump(self) -> bytes:
        return ",".join(self.seen).encode()

    def load(self, state: bytes) -> None:
        self.seen = state.decode().split(",") if state else []


async def test_hook_tocsin_detectors(tmp_path: Path) -> None:
    class Offers:
        @hookimpl
        def tocsin_detectors(self) -> Iterable[DetectorPlugin]:
            yield DetectorPlugin("parity", "Even numbers.", Parity, Parity.Params)

    config = settings(
        tmp_path, {"when": {"event_type": "never"}}, top={"detectors": {"parity": {"every": 3}}}
    )
    for number in range(3):
        async with running(config, plugins=[Offers()]) as manager:
            await manager.submit_event(event(number, number))
            found = await manager.check_for_incidents()
    (incident,) = found
    assert (incident.type, incident.title, incident.event_count) == ("odd", "an even number", 3)
    wrong = {**config, "detectors": {"parity": {"evry": 3}}}
    with pytest.raises(ConfigError, match=r"detectors\.parity\.evry: unknown field .* 'every'"):
        async with running(wrong, plugins=[Offers()]):
            pass


class ByRegion:
    """A correlator: what is of one region belongs together."""

    def place(self, detection: Detection, incidents: Sequence[Incident]) -> Placement | None:
        for incident in incidents:
            if incident.group.get("metadata.region") == detection.group.get("metadata.region"):
                return Placement(incident.id, 0.7, "same region")
        return None


async def test_hook_tocsin_correlators(tmp_path: Path) -> None:
    class Offers:
        @hookimpl
        def tocsin_correlators(self) -> Iterable[CorrelatorPlugin]:
            yield CorrelatorPlugin("region", "Same region.", lambda _params: ByRegion())

    rules = (
        {"group_by": ["metadata.region"]},
        {"group_by": ["metadata.region"], "when": {"event_type": "slow"}, "severity": "high"},
    )
    config = settings(tmp_path, *rules, top={"correlators": {"region": {}}})
    async with running(config, plugins=[Offers()]) as manager:
        await manager.submit_events(
            [
                event("a", metadata={"region": "eu"}),
                event("b", metadata={"region": "us"}),
                event("c", event_type="slow", metadata={"region": "eu"}),
            ]
        )
        eu, us = await manager.check_for_incidents()
    assert (eu.detection_count, eu.event_count, eu.severity) == (2, 2, "high")
    assert (us.detection_count, us.severity) == (1, "low")
    reasons = [entry.data["reason"] for entry in eu.timeline if entry.kind == "detection"]
    assert reasons == ["opens an incident of its own", "same region"]


async def test_hook_tocsin_notifiers(tmp_path: Path) -> None:
    bell = Bell()
    config = settings(tmp_path, {"severity": "high"}, notifications={"bell": {}})
    async with running(config, plugins=[bell]) as manager:
        await manager.submit_event(event("a"))
        (incident,) = await manager.check_for_incidents()
        await manager.process_incident(incident)
    opened, resolved = bell.notices
    assert opened.notice_id != resolved.notice_id
    assert opened.model_dump(exclude={"notice_id"}) == {
        "incident_id": incident.id,
        "change": "opened",
        "at": START,
        "severity": "high",
        "status": "detected",
        "incident_type": "error_burst",
        "title": "trouble",
        "text": "high error_burst opened: trouble",
        "components": ("api",),
    }
    assert (resolved.change, resolved.status) == ("resolved", "resolved")


async def test_hook_tocsin_sources(tmp_path: Path) -> None:
    class Ticks:
        async def batches(self, cursor: str | None) -> AsyncIterator[SourceBatch]:
            number = int(cursor or 0)
            while number < 3:
                number += 1
                yield SourceBatch([event(f"tick{number}", number)], str(number), skipped=1)
            raise ConnectionError("no more")

    class Offers:
        @hookimpl
        def tocsin_sources(self) -> Iterable[SourcePlugin]:
            yield SourcePlugin("ticks", "Ticks.", lambda _params, _context: Ticks())

    config = settings(tmp_path, top={"sources": {"clock": {"use": "ticks"}}})
    async with running(config, plugins=[Offers()]) as manager:
        await eventually(lambda: manager.get_statistics()["events"]["accepted"] == 3)
        await eventually(lambda: manager.get_statistics()["sources"]["clock"]["restarts"])
        assert len(await manager.check_for_incidents()) == 1
        assert manager.get_statistics()["sources"]["clock"] == {
            "events": 3,
            "skipped": 3,
            "restarts": 1,
            "reports": ["ConnectionError: no more"],
        }


async def test_hook_tocsin_rulesets(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        "ruleset: shop\nrules: [{id: sold_out, title: sold out, incident_type: shop.sold_out,"
        " severity: high, when: {event_type: sold_out}}]\n"
    )

    class Offers:
        @hookimpl
        def tocsin_rulesets(self) -> Iterable[RulesetPlugin]:
            yield RulesetPlugin("shop", "Rules for the shop.", file)

    for name in ("shop", "installed"):
        config = {**settings(tmp_path, database=str(tmp_path / f"{name}.db")), "rulesets": [name]}
        async with running(config, plugins=[Offers()]) as manager:
            await manager.submit_event(event("a", event_type="sold_out"))
            assert [one.type for one in await manager.check_for_incidents()] == ["shop.sold_out"]
    config["rulesets"] = ["shopp"]
    with pytest.raises(ConfigError, match="neither an installed ruleset nor a file; did you mean"):
        async with running(config, plugins=[Offers()]):
            pass


async def test_hook_tocsin_commands() -> None:
    @click.command()
    def hello() -> None:
        click.echo("hello")

    class Offers:
        @hookimpl
        def tocsin_commands(self) -> Iterable[CommandPlugin]:
            yield CommandPlugin("hello", "Says hello.", lambda: hello)

    plugins = Plugins(extra=[Offers()], discover=False)
    assert plugins.get(CommandPlugin, "hello").factory() is hello


# -- announcements ---------------------------------------------------------------------------------


class Diary:
    """A plugin that hears everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @hookimpl
    async def tocsin_started(self, stream: str) -> None:
        self.heard.append(("started", stream))

    @hookimpl
    def tocsin_stopping(self, stream: str) -> None:
        self.heard.append(("stopping", stream))

    @hookimpl
    def tocsin_detected(self, detection: Detection) -> None:
        self.heard.append(("detected", detection))

    @hookimpl
    async def tocsin_incident_changed(self, incident: Incident, change: str) -> None:
        self.heard.append((change, incident))

    def of(self, *kinds: str) -> list[Any]:
        return [fact for kind, fact in self.heard if kind in kinds]


async def test_hook_tocsin_started(tmp_path: Path) -> None:
    diary = Diary()
    async with running(settings(tmp_path, top={"stream": "shop"}), plugins=[diary]):
        assert diary.heard == [("started", "shop")]


async def test_hook_tocsin_stopping(tmp_path: Path) -> None:
    """All that was accepted is evaluated before."""
    diary = Diary()
    async with running(settings(tmp_path, {"group_by": ["source"]}), plugins=[diary]) as manager:
        await manager.submit_events([event(n, source=f"s{n}") for n in range(10)])
    assert len(diary.of("opened")) == 10
    assert diary.of("stopping") == ["main"]


async def test_hook_tocsin_detected(tmp_path: Path) -> None:
    diary = Diary()
    rule = {"window": {"count": {"gte": 2}, "within": "1m"}, "once_within": "0s"}
    async with running(settings(tmp_path, rule), plugins=[diary]) as manager:
        for number in range(4):
            await manager.submit_event(event(number, number))
    detections = diary.of("detected")
    assert [one.event_ids for one in detections] == [
        ("0", "1"),
        ("0", "1", "2"),
        ("0", "1", "2", "3"),
    ]
    assert len({one.detection_id for one in detections}) == 3


async def test_hook_tocsin_incident_changed(tmp_path: Path) -> None:
    diary = Diary()
    worse = {"if": {"when": {"metadata.worse": True}}, "severity": "critical"}
    rule = {"once_within": "1m", "resolve_after": "5m", "escalate": [worse]}
    async with running(settings(tmp_path, rule), plugins=[diary]) as manager:
        await manager.submit_event(event("a", 0))
        await manager.submit_event(event("b", 10, metadata={"worse": True}))
        await manager.submit_event(event("c", 70))
        await manager.submit_event(event("late", 1000, event_type="ok"))
        (incident,) = await manager.check_for_incidents()
        await manager.process_incident(incident)
        last = await manager.get_incident(incident.id)
    changes = [kind for kind, fact in diary.heard if isinstance(fact, Incident)]
    assert changes == [
        "opened",
        "escalated",
        "joined",
        "cleared",
        "assessing",
        "containing",
        "investigating",
        "remediating",
        "recovering",
        "resolved",
    ]
    told = diary.of(*changes)
    assert {one.id for one in told} == {incident.id}
    assert (told[0].severity, told[1].severity) == ("low", "critical")
    assert (told[-1].status, told[-1].resolved_at) == (last.status, last.resolved_at)
