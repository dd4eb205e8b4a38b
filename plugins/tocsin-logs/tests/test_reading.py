"""Reading what is added to files, from where, and whatever it holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tocsin_logs import tails
from tocsin_logs.following import MOST_EVENTS

Drive = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def add(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("ab") as file:
        file.write("".join(line + end for line in lines).encode("utf-8", "surrogateescape"))


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


class TestReading:
    def test_what_is_added_is_read_once(self, drive: Drive, log: Path) -> None:
        add(log, "one", "two")
        driver = drive()

        assert driver.poll() == ["one", "two"]
        assert driver.poll() == []
        add(log, "three")
        assert driver.poll() == ["three"]

    def test_the_place_in_the_file_makes_the_id(self, drive: Drive, log: Path) -> None:
        add(log, "one", "two", "three")
        driver = drive()
        driver.poll()

        origins, numbers = zip(*(e.event_id.rsplit(":", 1) for e in driver.events), strict=True)
        assert numbers == ("0", "4", "8")
        assert len(set(origins)) == 1
        assert origins[0].endswith("/app.log")
        assert driver.events[0].source == "app.log"

    def test_a_line_is_read_once_it_is_complete(self, drive: Drive, log: Path) -> None:
        add(log, "one", "tw")
        os.truncate(log, log.stat().st_size - 1)
        driver = drive()

        assert driver.poll() == ["one"]
        assert driver.poll() == []
        add(log, "o", end="")
        assert driver.poll() == []
        add(log, "", "three")
        assert driver.poll() == ["two", "three"]

    def test_nothing_new_gives_no_batch(self, drive: Drive, log: Path) -> None:
        add(log, "one")
        driver = drive()
        driver.poll()
        batches = len(driver.batches)

        driver.poll()

        assert len(driver.batches) == batches

    def test_line_ends_of_windows_and_empty_lines(self, drive: Drive, log: Path) -> None:
        log.write_bytes(b"one\r\n\n  \n\r\ntwo\r\r\n")
        driver = drive(pattern={"regex": "(?P<message>[a-z]+)", "event_type": "line"})

        assert driver.poll() == ["one", "two"]
        assert driver.skipped == 0

    def test_lines_that_are_no_events_are_counted(self, drive: Drive, log: Path) -> None:
        add(log, "one", "2", "three", "4", "5")
        driver = drive(pattern={"regex": "^(?P<message>[a-z]+)$", "event_type": "line"})

        assert driver.poll() == ["one", "three"]
        assert driver.skipped == 3
        assert driver.batches[-1].cursor is not None

    def test_batches_are_bounded(self, drive: Drive, log: Path) -> None:
        lines = numbered(1, 3 * MOST_EVENTS + 7)
        add(log, *lines)
        driver = drive()

        assert driver.poll() == lines
        sizes = [len(batch.events) for batch in driver.batches]
        assert sizes == [MOST_EVENTS] * 3 + [7]

    def test_a_line_of_many_events_is_not_torn(self, drive: Drive, log: Path) -> None:
        repeated = "Dec 10 06:55:46 h sshd[1]: message repeated 90 times: [ Connection closed by x]"
        add(log, *[repeated] * 12)
        driver = drive(pattern="sshd")

        driver.poll()

        assert [len(batch.events) for batch in driver.batches] == [450, 450, 180]
        assert len({event.event_id for event in driver.events}) == 12 * 90

    def test_input_without_events_gives_a_cursor_now_and_then(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tails, "CHUNK", 1000)
        add(log, *["-" * 99] * 1000)
        driver = drive(pattern="sshd", max_line_bytes=500)

        driver.poll()

        assert driver.skipped == 1000
        assert len(driver.batches) >= 10

    def test_two_files_take_turns(self, drive: Drive, tmp_path: Path) -> None:
        add(tmp_path / "a", *numbered(1, 2000))
        add(tmp_path / "b", *numbered(5001, 7000))
        driver = drive(files=["a", "b"])

        assert sorted(driver.poll()) == sorted([*numbered(1, 2000), *numbered(5001, 7000)])
        assert [batch.events[0].source for batch in driver.batches[:4]] == ["a", "b", "a", "b"]

    def test_one_file_under_two_names_is_read_once(self, drive: Drive, tmp_path: Path) -> None:
        add(tmp_path / "a.log", "one")
        os.link(tmp_path / "a.log", tmp_path / "b.log")
        (tmp_path / "c.log").symlink_to("a.log")
        driver = drive(files=["*.log", "a.log"])

        assert driver.poll() == ["one"]

    def test_absolute_paths_and_folders_with_odd_names(self, drive: Drive, tmp_path: Path) -> None:
        folder = tmp_path / "odd [x] *"
        (folder / "deep" / "deeper").mkdir(parents=True)
        add(folder / "deep" / "deeper" / "a.log", "deep")
        add(folder / "b.log", "absolute")
        driver = drive(files=["**/a.log", str(folder / "b.log").replace("[", "[[]")])

        assert sorted(driver.poll()) == ["absolute", "deep"]


class TestHostileInput:
    def test_bytes_that_are_no_text(self, drive: Drive, log: Path) -> None:
        log.write_bytes(b"\xff\xfe\x00\x1b[2J\nfine\n\xc3\n")
        driver = drive()

        assert driver.poll() == ["\ufffd\ufffd\ufffd\ufffd[2J", "fine", "\ufffd"]

    def test_long_lines_are_cut_and_counted(self, drive: Drive, log: Path) -> None:
        add(log, "a" * 100, "b" * 101, "c" * 100_000, "d")
        driver = drive(max_line_bytes=100)

        assert driver.poll() == ["a" * 100, "b" * 100, "c" * 100, "d"]
        assert driver.skipped == 2

    def test_a_line_without_an_end_takes_no_memory(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tails, "CHUNK", 1000)
        driver = drive(max_line_bytes=100)
        add(log, "first", "x" * 101, end="")

        assert driver.poll() == ["first" + "x" * 95]
        for _ in range(50):
            add(log, "y" * 5000, end="")
            assert driver.poll() == []
        add(log, "", "last")
        assert driver.poll() == ["last"]
        assert driver.skipped == 1

    @pytest.mark.parametrize("size", [64, 1_048_576])
    def test_a_sparse_file_of_gigabytes_is_read_in_bounded_steps(
        self, size: int, drive: Drive, log: Path
    ) -> None:
        log.touch()
        os.truncate(log, 10 * 1024**3)
        driver = drive(max_line_bytes=size)

        more = driver.step()
        more = driver.step() and more

        assert more
        assert len(driver.events) == 1
        assert tails.CHUNK <= _offset(driver) <= 20 * 1024**2

    def test_another_encoding(self, drive: Drive, log: Path) -> None:
        log.write_bytes("größe\n".encode("latin-1"))

        assert drive(encoding="latin-1").poll() == ["größe"]


def _offset(driver: Any) -> int:
    (tail,) = driver.following._fold.tails
    return int(tail.offset)


class TestStart:
    def test_at_the_end_of_what_is_there(self, drive: Drive, log: Path, tmp_path: Path) -> None:
        add(log, "old")
        driver = drive(files=["*.log"], start="end")

        assert driver.poll() == []
        assert driver.cursor is not None
        add(log, "new")
        add(tmp_path / "later.log", "later")
        assert driver.poll() == ["new", "later"]

    def test_not_in_the_middle_of_a_line(self, drive: Drive, log: Path) -> None:
        add(log, "old", "ha", end="\n")
        os.truncate(log, log.stat().st_size - 1)
        driver = drive(start="end")

        assert driver.poll() == []
        add(log, "lf", "new")
        assert driver.poll() == ["new"]

    def test_what_is_written_while_nobody_follows_is_not_left_out(
        self, drive: Drive, log: Path
    ) -> None:
        add(log, "old")
        driver = drive(start="end")
        driver.poll()

        add(log, "new")
        driver.restart()

        assert driver.poll() == ["new"]

    def test_a_new_entry_starts_like_the_first_one_did(self, drive: Drive, tmp_path: Path) -> None:
        add(tmp_path / "a.log", "a old")
        add(tmp_path / "b.log", "b old")
        driver = drive(files=["a.log"], start="end")
        driver.poll()

        driver.restart(files=["a.log", "b.log"])

        assert driver.poll() == []
        add(tmp_path / "b.log", "b new")
        assert driver.poll() == ["b new"]

    def test_an_entry_that_is_taken_out_is_forgotten(self, drive: Drive, tmp_path: Path) -> None:
        add(tmp_path / "a.log", "a")
        add(tmp_path / "b.log", "b")
        driver = drive(files=["a.log", "b.log"])
        driver.poll()

        driver.restart(files=["a.log"])
        driver.poll()

        assert "b.log" not in driver.cursor

    def test_a_file_in_an_empty_state(self, drive: Drive, log: Path) -> None:
        log.touch()
        driver = drive(start="end")

        assert driver.poll() == []
        add(log, "one")
        assert driver.poll() == ["one"]


def test_live_lines_without_a_year_are_of_the_present(drive: Drive, log: Path) -> None:
    add(log, "Dec 31 23:59:59 h a: 1", "Mar  1 11:59:59 h a: 2")
    driver = drive(pattern="syslog")
    driver.poll()

    assert [event.timestamp.year for event in driver.events] == [2024, 2025]
