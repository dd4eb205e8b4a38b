"""`tocsin run` as a process, and what other commands do while it runs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.support import cli, event, ok, program, unbroken, write_lines

pytestmark = pytest.mark.usefixtures("home")
DONE = "stopped; everything accepted is evaluated and stored"
PATIENCE = 30.0


class Daemon:
    """A `tocsin run` and what it has written so far."""

    def __init__(self, line: str) -> None:
        self.process = program(line, stderr=subprocess.STDOUT)
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.text += line.decode()

    def said(self, text: str) -> None:
        """Wait until it has written something."""
        until(lambda: text in self.text or self.process.poll() is not None)
        assert text in self.text, self.text

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.05)


@contextmanager
def daemon(line: str = "run") -> Iterator[Daemon]:
    started = Daemon(line)
    try:
        started.said("stop:")
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.wait()


def stream() -> dict[str, Any]:
    found: dict[str, Any] = ok("status --format json").json()["streams"][0]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told_and_says_so(number: signal.Signals) -> None:
    with daemon() as running:
        assert "watching: none (events can be submitted)\n" in running.text
        assert "rules: 4 " in running.text
        assert "tocsin.db" in running.text
        assert running.stop(number) == 0
    assert running.text.endswith(f"{DONE}\n")
    assert "Traceback" not in running.text


def test_it_stops_by_itself_after_a_while() -> None:
    started = Daemon("run --for 100ms --log-level warning --config tocsin.yaml")
    assert started.wait() == 0
    assert "incidents list --config tocsin.yaml\n" in started.text
    hint = next(line for line in started.text.splitlines() if line.startswith("look:"))
    assert "__main__.py" not in hint  # started by `python -m tocsin`, that file cannot be run
    assert started.text.endswith(f"{DONE}\n")


def test_debugging_shows_what_tocsin_does_and_not_what_its_driver_does(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1, message="a message that stays private")])
    with daemon("run --log-level debug") as running:
        ok("events submit events.jsonl")
        running.stop()
    assert "aiosqlite" not in running.text
    assert "a message that stays private" not in running.text


def test_a_second_one_is_refused() -> None:
    with daemon() as running:
        outcome = cli("run")
        assert outcome.code == 1
        assert outcome.err.endswith(
            "another process evaluates stream 'main' of this database;"
            " stop it, or give this one another 'stream'\n"
        )
        assert running.process.poll() is None


def test_events_go_through_the_one_that_runs(home: Path) -> None:
    path = write_lines(home / "events.jsonl", [event(1), event(2), event(3)])
    with daemon() as running:
        assert stream()["running"] is True
        found = ok("events submit --format json", path).json()
        incident = found.pop("incidents")[0]
        assert found == {"accepted": 3, "duplicates": 0, "evaluated": True, "quarantined": []}
        assert incident["title"] == "3 errors from api within 1m"
        again = unbroken(ok("events submit", path).out)
        assert again == "0 events accepted, 3 known already no incident was opened"
        assert "Disk full on simulated" in ok("simulate --type disk_space_low").out
        assert len(ok("incidents list --format json").json()) == 2
        assert running.stop() == 0
    assert stream()["running"] is False


def test_what_is_wrong_is_told_before_it_starts(home: Path) -> None:
    (home / "tocsin.yaml").write_text("rulesets: [rules.yaml]\nstrem: x\n", encoding="utf-8")
    outcome = cli("run")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "tocsin.yaml:2:1: unknown field 'strem'; did you mean 'stream'?\n"
    assert not (home / "tocsin.db").exists()


@pytest.mark.parametrize("duration", ["soon", "-1s", "9999d"])
def test_for_takes_a_duration(duration: str) -> None:
    outcome = cli("run --for", duration)
    assert outcome.code == 2
    assert "Invalid value for '--for': expected a duration" in outcome.err


# -- status -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("world")
def test_status() -> None:
    report = ok("status --format json").json()
    assert report["active_incidents"] == 3
    found = report["streams"][0]
    assert (found["stream"], found["running"]) == ("main", False)
    assert found["statistics"]["events"]["evaluated"] == 6
    text = unbroken(ok("status").out)
    assert "main no " in text
    assert "active incidents: 3 main events: accepted=6, evaluated=6" in text
    rows = ok("status --format csv").out.splitlines()
    assert rows[0] == "stream,running,accepted,evaluated,watermark,updated_at"
    assert rows[1].startswith("main,no,")


@pytest.mark.usefixtures("world")
def test_status_counts_events() -> None:
    """Six events came in one batch: whoever reads `accepted` takes it for a number of events."""
    found = stream()
    assert (found["accepted"], found["evaluated"]) == (6, 6)
    assert ok("status --format csv").out.splitlines()[1].startswith("main,no,6,6,")


@pytest.mark.usefixtures("world")
def test_status_keeps_counting_where_another_process_goes_on(home: Path) -> None:
    path = write_lines(home / "more.jsonl", [event(30, "note")])
    ok("events submit", path)
    assert stream()["accepted"] == 7
    assert "accepted=7" in ok("status").out


@pytest.mark.usefixtures("world")
def test_status_adds_what_one_process_after_the_other_has_counted(home: Path) -> None:
    for number in (30, 31):
        lines = [event(0), event(number, "note")]
        ok("events submit", write_lines(home / "more.jsonl", lines))
    found = stream()["statistics"]["events"]
    assert (found["accepted"], found["evaluated"], found["waiting"]) == (8, 8, 0)
    assert found["duplicates"] == 2


@pytest.mark.usefixtures("world")
def test_instants_are_written_alike_everywhere() -> None:
    found = stream()
    assert found["watermark"] == "2026-01-01T00:00:20Z"
    assert found["updated_at"].endswith("Z")


def test_status_before_the_first_start() -> None:
    outcome = cli("status")
    assert outcome.code == 2
    assert outcome.err.startswith("tocsin: there is no database 'tocsin.db' yet: `tocsin run`")


def test_status_names_events_that_were_put_aside(home: Path) -> None:
    line = event(1, event_id="\x1b[31mfar", timestamp="9000-01-01T00:00:00Z")
    ok("events submit", write_lines(home / "events.jsonl", [line]))
    text = ok("status").out
    assert "quarantined \N{REPLACEMENT CHARACTER}[31mfar: its time lies too far in the" in text
    assert "\x1b" not in text
