"""Telling plugins what happens: in order, each in its colour, and failures stop nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tocsin.calls import Calls
from tocsin.errors import PluginError
from tocsin.hookspecs import hookimpl
from tocsin.plugins import Announcements, Plugins


def given(*plugins: object, timeout: float = 5.0) -> Plugins:
    """Load only what is given."""
    return Plugins(extra=plugins, discover=False, calls=Calls(timeout=timeout))


class Hears:
    """Plugins of both colours that write down who heard what, and where."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def plugin(self, name: str, *, plain: bool, error: BaseException | None = None) -> object:
        heard = self.heard

        class Plain:
            @hookimpl
            def tocsin_started(self, stream: str) -> None:
                heard.append((name, (stream, threading.current_thread().name)))
                if error:
                    raise error

        class OnTheLoop:
            @hookimpl
            async def tocsin_started(self, stream: str) -> None:
                heard.append((name, (stream, threading.current_thread().name)))
                if error:
                    raise error

        return Plain() if plain else OnTheLoop()


@pytest.fixture
def hears() -> Hears:
    return Hears()


async def test_both_colours_hear_in_order(hears: Hears) -> None:
    names = ("a", True), ("b", False), ("c", True)
    plugins = given(*(hears.plugin(name, plain=plain) for name, plain in names))
    assert await plugins.announce("tocsin_started", stream="main") == []
    assert [name for name, _ in hears.heard] == ["a", "b", "c"]
    threads = [thread for _, (_, thread) in hears.heard]
    assert threads[1] == threading.current_thread().name
    assert all(name.startswith("tocsin-plugin") for name in (threads[0], threads[2]))
    assert {stream for _, (stream, _) in hears.heard} == {"main"}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "error", [ValueError("on purpose"), TimeoutError(), SystemExit(3), asyncio.CancelledError()]
)
async def test_a_failure_stops_nobody(hears: Hears, plain: bool, error: BaseException) -> None:
    plugins = given(
        hears.plugin("a", plain=plain, error=error),
        hears.plugin("b", plain=not plain),
        hears.plugin("c", plain=plain),
    )
    (failure,) = await plugins.announce("tocsin_started", stream="main")
    assert failure.hook == "tocsin_started"
    assert failure.plugin in [one.name for one in plugins.found()]
    assert [name for name, _ in hears.heard] == ["a", "b", "c"]


async def test_even_the_oddest_failure_arrives(hears: Hears) -> None:
    plugins = given(hears.plugin("a", plain=True, error=StopIteration()), timeout=0.5)
    (failure,) = await plugins.announce("tocsin_started", stream="main")
    assert isinstance(failure.error, PluginError)
    assert isinstance(failure.error.__cause__, StopIteration)


@pytest.mark.parametrize("plain", [True, False])
async def test_one_that_takes_too_long_is_left(hears: Hears, plain: bool) -> None:
    let_go = threading.Event()

    class Slow:
        @hookimpl
        def tocsin_started(self) -> None:
            let_go.wait(10)

    class SlowOnTheLoop:
        @hookimpl
        async def tocsin_started(self) -> None:
            await asyncio.sleep(10)

    calls = Calls(timeout=0.1)
    slow = Slow() if plain else SlowOnTheLoop()
    plugins = Plugins(extra=[slow, hears.plugin("b", plain=True)], discover=False, calls=calls)
    try:
        (failure,) = await plugins.announce("tocsin_started", stream="main")
        assert isinstance(failure.error, TimeoutError)
        assert [name for name, _ in hears.heard] == ["b"]
    finally:
        let_go.set()
        await calls.close()


async def test_cancelling_the_announcer_goes_through(hears: Hears) -> None:
    class Slow:
        @hookimpl
        async def tocsin_started(self) -> None:
            await asyncio.sleep(10)

    plugins = given(Slow(), hears.plugin("b", plain=False))
    announcing = asyncio.ensure_future(plugins.announce("tocsin_started", stream="main"))
    await asyncio.sleep(0.05)
    announcing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await announcing
    assert hears.heard == []


async def test_a_listener_names_only_what_it_wants() -> None:
    heard: list[Any] = []

    class Nothing:
        @hookimpl
        async def tocsin_incident_changed(self) -> None:
            heard.append(())

    class Some:
        @hookimpl
        async def tocsin_incident_changed(self, change: str) -> None:
            heard.append(change)

    plugins = given(Nothing(), Some())
    await plugins.announce("tocsin_incident_changed", incident=None, change="opened")
    assert heard == [(), "opened"]


def test_whether_anybody_listens(hears: Hears) -> None:
    plugins = given(hears.plugin("a", plain=True))
    assert plugins.listens("tocsin_started")
    assert not plugins.listens("tocsin_stopping")


async def test_what_too_many_wait_for_is_dropped_and_counted(
    hears: Hears, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever announces is never held up by plugins that are slow to hear."""
    announcements = Announcements(given(hears.plugin("a", plain=False)))
    for number in range(10_003):
        announcements.put("tocsin_started", {"stream": str(number)})
        announcements.put("tocsin_stopping", {"stream": "nobody listens"})
    assert announcements.dropped == 3
    assert len(caplog.records) == 1
    work = asyncio.ensure_future(announcements.run())
    await announcements.drained()
    work.cancel()
    assert [stream for _, (stream, _) in hears.heard] == [str(n) for n in range(10_000)]
