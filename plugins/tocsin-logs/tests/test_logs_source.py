"""The source itself, on the loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from datetime import UTC
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tocsin.capabilities import SourceBatch, SourceContext
from tocsin.clock import SystemClock
from tocsin_logs import LogsParams, LogsSource
from tocsin_logs.cursors import Cursor, load
from tocsin_logs.following import Following

LINES = {"regex": "(?P<message>.*)", "event_type": "line"}


def source(context: SourceContext, **params: Any) -> LogsSource:
    settings = {"files": ["app.log"], "pattern": LINES, "start": "beginning", **params}
    return LogsSource(LogsParams.model_validate(settings), context)


async def collect(logs: LogsSource, cursor: str | None, count: int) -> tuple[list[str], str | None]:
    """Take batches until there are so many events, as the core does."""
    found: list[str] = []
    async with aclosing(logs.batches(cursor)) as batches:
        async for batch in batches:
            found += [event.message for event in batch.events]
            cursor = batch.cursor or cursor
            if len(found) >= count:
                break
    return found, cursor


async def test_lines_come_as_they_are_written(
    context: SourceContext, clock: Any, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    log.write_text("one\n")
    found, cursor = await collect(source(context), None, 1)
    assert found == ["one"]

    with log.open("a") as file:
        file.write("two\nthree\n")
    found, cursor = await collect(source(context), cursor, 2)
    assert found == ["two", "three"]

    async def write_later() -> None:
        while len(clock.slept) < 5:  # noqa: ASYNC110 - the clock tells nobody
            await asyncio.sleep(0)
        with log.open("a") as file:
            file.write("four\n")

    writing = asyncio.create_task(write_later())
    found, cursor = await collect(source(context, poll="2s"), cursor, 1)
    await writing
    assert found == ["four"]
    assert set(clock.slept) == {2.0}


async def test_reports_reach_the_operator(
    context: SourceContext, reports: list[str], tmp_path: Path
) -> None:
    batches = source(context).batches(None)
    first = await anext(batches)
    await batches.aclose()

    assert first.events == []
    assert load(first.cursor) == Cursor(entries=("app.log",))
    assert reports == [f"{tmp_path / 'app.log'} does not exist: waiting for it"]


@pytest.mark.parametrize("cursor", ["", "nonsense", "{}", "[]", '{"version": 2}', "7"])
async def test_a_cursor_of_something_else_is_reported(
    cursor: str, context: SourceContext, reports: list[str], tmp_path: Path
) -> None:
    (tmp_path / "app.log").write_text("one\n")

    found, _ = await collect(source(context), cursor, 1)

    assert found == ["one"]
    (report,) = reports
    assert report.startswith("not a cursor of this source: ")
    assert report.endswith(": starting anew")


async def test_files_are_read_off_the_loop(
    context: SourceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    real = Following.step

    def noting(self: Following, now: Any) -> Any:
        threads.append(threading.current_thread())
        return real(self, now)

    monkeypatch.setattr(Following, "step", noting)
    (tmp_path / "app.log").write_text("one\n")
    await collect(source(context), None, 1)

    assert threading.main_thread() not in threads


async def test_cancelling_lets_all_files_go(
    context: SourceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Following] = []
    started, go_on = threading.Event(), threading.Event()
    real_init, real_step = Following.__init__, Following._step

    def noting(self: Following, *args: Any) -> None:
        real_init(self, *args)
        made.append(self)

    def slow(self: Following, now: Any) -> Any:
        step = real_step(self, now)
        started.set()
        go_on.wait(10)
        return step

    monkeypatch.setattr(Following, "__init__", noting)
    monkeypatch.setattr(Following, "_step", slow)
    (tmp_path / "app.log").write_text("one\n")
    task = asyncio.create_task(collect(source(context), None, 1))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (following,) = made
    assert following._fold.tails  # the thread is still reading

    go_on.set()
    for _ in range(500):
        if not following._fold.tails:
            break
        await asyncio.sleep(0.01)

    assert following._fold.tails == []


async def test_with_the_clock_of_the_machine(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("Mar  1 00:00:00 h a: one\n")
    context = SourceContext(clock=SystemClock(), directory=tmp_path)
    batches: list[SourceBatch] = []
    following = asyncio.Event()

    async def follow() -> None:
        logs = source(context, pattern="syslog", poll="10ms", start="end")
        async for batch in logs.batches(None):
            batches.append(batch)
            following.set()
            if batch.events:
                return

    task = asyncio.create_task(follow())
    await asyncio.wait_for(following.wait(), 10)
    with log.open("a") as file:
        file.write("Mar  1 00:00:00 h a: two\n")
    await asyncio.wait_for(task, 10)

    (event,) = batches[-1].events
    assert event.message == "two"
    assert event.timestamp.month == 3
    assert event.timestamp.tzinfo is UTC


def test_the_entry_point_leads_to_the_hook(context: SourceContext) -> None:
    (found,) = entry_points(group="tocsin", name="logs")

    (offered,) = found.load().tocsin_sources()

    assert (offered.name, offered.params) == ("logs", LogsParams)
    params = LogsParams.model_validate({"files": ["x"], "pattern": "sshd"})
    assert isinstance(offered.factory(params, context), LogsSource)
    assert sorted(offered.patterns()) == ["apache_error", "jsonl", "nginx", "sshd", "syslog"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"files": []}, "at least 1 item"),
        ({"files": [""]}, "at least 1 character"),
        ({"start": "middle"}, "'end' or 'beginning'"),
        ({"poll": "soon"}, "expected a duration"),
        ({"poll": 0}, "greater than or equal"),
        ({"encoding": "utf-16"}, "its line end is more than a byte"),
        ({"encoding": "klingon"}, "no text encoding 'klingon'"),
        ({"encoding": "base64"}, "no text encoding 'base64'"),
        ({"timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"timezone": "../etc/passwd"}, "no time zone"),
        ({"max_line_bytes": 2_000_000}, "less than or equal"),
        ({"year": 0}, "greater than or equal"),
        ({"follow": True}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    settings = {"files": ["x"], "pattern": "sshd", **wrong}

    with pytest.raises(ValidationError) as caught:
        LogsParams.model_validate(settings)

    assert message in str(caught.value)


def test_parameters_come_back_as_they_were_written() -> None:
    params = LogsParams.model_validate(
        {
            "files": ["/var/log/*.log"],
            "pattern": {"regex": "x", "event_type": "y"},
            "timezone": "Europe/Berlin",
            "poll": "250ms",
        }
    )

    assert params.poll == 0.25
    assert LogsParams.model_validate(params.model_dump()) == params
    assert LogsParams.model_validate_json(params.model_dump_json()) == params
