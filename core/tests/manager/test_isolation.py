"""What plugins and the host's functions do wrong stays theirs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from manager.support import (
    Bell,
    Drive,
    Spec,
    clock_at,
    event,
    eventually,
    running,
    settings,
    stored,
)
from tocsin import Detection, IncidentEvent
from tocsin.capabilities import (
    CorrelatorPlugin,
    DetectorPlugin,
    NotifierPlugin,
    SourceBatch,
    SourceContext,
    SourcePlugin,
)
from tocsin.errors import Retryable
from tocsin.hookspecs import hookimpl
from tocsin.models import Notice

FAILURES = [
    pytest.param(ZeroDivisionError("on purpose"), id="error"),
    pytest.param(OSError("caf\udce9 \x00"), id="surrogate"),
    pytest.param(TimeoutError(), id="timeout"),
    pytest.param(asyncio.CancelledError("leaked"), id="cancelled"),
]


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: object, **_named: object) -> Any:
        raise error

    return fail


# -- notifiers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", FAILURES)
async def test_a_notifier_that_fails(tmp_path: Path, error: BaseException) -> None:
    """It is counted and said; others hear, and the next notice is tried again."""
    bad, good = Bell(failing(error)), Bell()
    good.tocsin_notifiers = None  # type: ignore[assignment, method-assign]

    class Second:
        @hookimpl
        def tocsin_notifiers(self) -> Iterable[Any]:
            yield NotifierPlugin(name="good", summary="Works.", factory=lambda _params: good)

    notifications: dict[str, Any] = {"bell": {}, "good": {}}
    config = settings(tmp_path, {"group_by": ["source"]}, notifications=notifications)
    async with running(config, plugins=[bad, Second()]) as manager:
        for number in range(3):
            await manager.submit_event(event(number, source=f"s{number}"))
            assert len(await manager.check_for_incidents()) == 1
        try:
            await eventually(lambda: len(good.notices) == 3, seconds=2)
            assert len(bad.notices) == 3
            assert manager.get_statistics()["notifications"] == {"sent": 3, "failed": 3}
        finally:
            await manager.stop(1)


async def test_a_notifier_that_asks_to_be_asked_again(tmp_path: Path) -> None:
    clock = clock_at(10)
    answers: list[float | None] = [30.0, None]

    def send(_notice: Notice) -> None:
        if answers:
            raise Retryable("busy", after=answers.pop(0))

    bell = Bell(send)
    config = settings(tmp_path, notifications={"bell": {}})
    async with running(config, clock=clock, plugins=[bell]) as manager:
        await manager.submit_event(event("a"))
        await manager.check_for_incidents()
        await eventually(lambda: len(bell.notices) == 1)
        await clock.advance(29)
        assert len(bell.notices) == 1
        await clock.advance(2)
        await eventually(lambda: len(bell.notices) == 2)
        await clock.advance(30)
        await eventually(lambda: manager.get_statistics()["notifications"]["sent"] == 1)
        assert len({notice.notice_id for notice in bell.notices}) == 1


async def test_a_notifier_that_asks_too_often_is_given_up(tmp_path: Path) -> None:
    clock = clock_at(10)
    bell = Bell(failing(Retryable("busy")))
    config = settings(tmp_path, notifications={"bell": {}})
    async with running(config, clock=clock, plugins=[bell]) as manager:
        await manager.submit_event(event("a"))
        await manager.check_for_incidents()

        async def given_up() -> None:
            while not manager.get_statistics()["notifications"]["failed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await Drive(clock, 5).until_done(given_up())
        assert len(bell.notices) == 3


async def test_only_what_is_bad_enough_is_told(tmp_path: Path) -> None:
    bell = Bell()
    rules: tuple[Spec, ...] = ({}, {"severity": "high", "when": {"event_type": "worse"}})
    config = settings(tmp_path, *rules, notifications={"bell": {"min_severity": "medium"}})
    async with running(config, plugins=[bell]) as manager:
        await manager.submit_events([event("a"), event("b", event_type="worse")])
        for incident in await manager.check_for_incidents():
            await manager.process_incident(incident)
    assert [(n.change, n.severity) for n in bell.notices] == [
        ("opened", "high"),
        ("resolved", "high"),
    ]


# -- announcements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", FAILURES)
async def test_a_listener_that_fails(tmp_path: Path, error: BaseException) -> None:
    heard: list[str] = []

    class Bad:
        @hookimpl
        async def tocsin_incident_changed(self) -> None:
            raise error

        @hookimpl
        async def tocsin_detected(self) -> None:
            raise error

    class Good:
        @hookimpl
        async def tocsin_incident_changed(self, change: str) -> None:
            heard.append(change)

        @hookimpl
        def tocsin_detected(self, detection: Detection) -> None:
            heard.append(detection.rule_id)

    config = settings(tmp_path, {"group_by": ["source"]})
    async with running(config, plugins=[Bad(), Good()]) as manager:
        for number in range(2):
            await manager.submit_event(event(number, source=f"s{number}"))
            assert len(await manager.check_for_incidents()) == 1
        try:
            await eventually(lambda: len(heard) == 4, seconds=2)
            assert manager.running
        finally:
            await manager.stop(1)


async def test_a_slow_listener_does_not_hold_up_the_evaluation(tmp_path: Path) -> None:
    let_go = asyncio.Event()

    class Slow:
        @hookimpl
        async def tocsin_incident_changed(self) -> None:
            await let_go.wait()

    config = settings(tmp_path, {"group_by": ["source"]})
    async with running(config, plugins=[Slow()]) as manager:
        for number in range(50):
            await manager.submit_event(event(number, source=f"s{number}"))
        async with asyncio.timeout(5):
            assert len(await manager.check_for_incidents()) == 50
        let_go.set()


# -- sources ---------------------------------------------------------------------------------------


class Brings:
    """A source that gives its batches, and fails where an error stands among them."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.cursors: list[str | None] = []

    @hookimpl
    def tocsin_sources(self) -> Iterable[SourcePlugin]:
        def make(_params: object, context: SourceContext) -> Brings:
            self.context = context
            return self

        yield SourcePlugin(name="brings", summary="Brings.", factory=make)

    async def batches(self, cursor: str | None) -> AsyncIterator[SourceBatch]:
        self.cursors.append(cursor)
        while self.items:
            item = self.items.pop(0)
            if isinstance(item, BaseException):
                raise item
            yield item
        await asyncio.sleep(3600)


def batch(*names: str, cursor: str | None = None) -> SourceBatch:
    return SourceBatch([event(name) for name in names], cursor)


@pytest.mark.parametrize(
    "error",
    [
        FAILURES[0],
        pytest.param(OSError("caf\udce9 \x00"), id="surrogate"),
        FAILURES[2],
        FAILURES[3],
    ],
)
async def test_a_source_that_fails_goes_on_from_its_cursor(
    tmp_path: Path, error: BaseException
) -> None:
    clock = clock_at(60)
    source = Brings([batch("a", "b", cursor="2"), error, batch("b", "c", cursor="3")])
    config = settings(tmp_path, {"group_by": ["source"]}, top={"sources": {"brings": {}}})
    async with running(config, clock=clock, plugins=[source]) as manager:

        async def all_there() -> None:
            while manager.get_statistics()["events"]["accepted"] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await Drive(clock, 0.5).until_done(all_there(), seconds=4)
        assert source.cursors == [None, "2"]
        await eventually(lambda: manager.get_statistics()["sources"]["brings"]["events"] == 3)
        (figures,) = manager.get_statistics()["sources"].values()
        assert figures["restarts"] == 1
        assert type(error).__name__ in figures["reports"][0]
        assert len(await manager.check_for_incidents()) == 1
    async with running(config, clock=clock, plugins=[source]):
        await eventually(lambda: source.cursors[-1] == "3")


async def test_what_a_source_reports_is_shown(tmp_path: Path) -> None:
    source = Brings([batch("a")])
    config = settings(tmp_path, top={"sources": {"brings": {}}})
    async with running(config, plugins=[source]) as manager:
        await eventually(lambda: hasattr(source, "context"))
        for number in range(7):
            source.context.report(f"message {number}")
        (figures,) = manager.get_statistics()["sources"].values()
        assert figures["reports"] == [f"message {number}" for number in range(2, 7)]


async def test_sources_can_be_left_out(tmp_path: Path) -> None:
    source = Brings([batch("a")])
    config = settings(tmp_path, top={"sources": {"brings": {}}})
    async with running(config, plugins=[source], run_sources=False) as manager:
        await asyncio.sleep(0.1)
        assert source.cursors == []
        assert await manager.submit_event(event("a"))


# -- detectors and correlators ---------------------------------------------------------------------


class Judges:
    """A detector and a correlator that may fail."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    @hookimpl
    def tocsin_detectors(self) -> Iterable[DetectorPlugin]:
        yield DetectorPlugin(name="judges", summary="Judges.", factory=lambda _params: self)

    @hookimpl
    def tocsin_correlators(self) -> Iterable[CorrelatorPlugin]:
        yield CorrelatorPlugin(name="judges", summary="Judges.", factory=lambda _params: self)

    def observe(self, event: IncidentEvent) -> Sequence[Detection]:  # noqa: ARG002 - the protocol's
        if self.error:
            raise self.error
        return ()

    def dump(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None: ...

    def place(self, *_args: object) -> None:
        if self.error:
            raise self.error


async def test_a_detector_that_fails_is_left_out(tmp_path: Path) -> None:
    config = settings(tmp_path, top={"detectors": {"judges": {}}, "correlators": {"judges": {}}})
    async with running(config, plugins=[Judges(ZeroDivisionError("on purpose"))]) as manager:
        await manager.submit_events([event("a"), event("b")])
        assert len(await manager.check_for_incidents()) == 1
        failed = manager.get_statistics()["engine"]["failed_detectors"]
        assert failed == {"judges": "ZeroDivisionError: on purpose"}


async def test_a_detector_that_cannot_be_dumped_is_left_out(tmp_path: Path) -> None:
    judges = Judges(None)
    judges.dump = failing(ZeroDivisionError("on purpose"))  # type: ignore[method-assign]
    config = settings(tmp_path, top={"detectors": {"judges": {}}})
    async with running(config, plugins=[judges]) as manager:
        await manager.submit_event(event("a"))
        assert len(await manager.check_for_incidents()) == 1


# -- what ends the host ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["def", "async def"])
async def test_a_plugin_that_exits(tmp_path: Path, colour: str) -> None:
    """Such as one built around a command line's functions."""
    config = settings(tmp_path)
    program = f"""
        import asyncio
        from tocsin import IncidentManager
        from tocsin.hookspecs import hookimpl
        from manager.support import event

        class Exits:
            @hookimpl
            {colour} tocsin_incident_changed(self):
                raise SystemExit(7)

        async def main():
            async with IncidentManager({config!r}, plugins=[Exits()]) as manager:
                for name in "ab":
                    await manager.submit_event(event(name))
                    await manager.check_for_incidents()
                await asyncio.sleep(0.1)
            print("well")

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(program),
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (process.returncode, output) == (0, b"well\n"), errors.decode()
    assert len(await stored(config["database"])) == 1
