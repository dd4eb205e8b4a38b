"""Files that are moved away or truncated while they are followed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tocsin_logs.following import MOST_EVENTS

Drive = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def add(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("ab") as file:
        file.write("".join(line + end for line in lines).encode("utf-8", "surrogateescape"))


def copy_and_truncate(path: Path, copy: Path) -> None:
    shutil.copyfile(path, copy)
    os.truncate(path, 0)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


class TestRotation:
    def test_the_old_file_is_read_to_its_end_before_the_new_one(
        self, drive: Drive, log: Path
    ) -> None:
        driver = drive()
        add(log, "1")
        driver.poll()

        add(log, "2")
        log.rename(log.with_name("app.log.1"))
        add(log, "4")
        with log.with_name("app.log.1").open("a") as file:
            file.write("3\n")

        assert driver.poll() == ["2", "3", "4"]

    def test_many_lines_on_both_sides_stay_in_order(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, "line 0")
        driver.poll()

        add(log, *numbered(1, 1200))
        log.rename(log.with_name("app.log.1"))
        add(log, *numbered(1201, 2400))

        assert driver.poll() == numbered(1, 2400)

    def test_the_order_holds_when_it_is_another_file_s_turn(
        self, drive: Drive, log: Path, tmp_path: Path
    ) -> None:
        add(log, *numbered(1, MOST_EVENTS))
        add(tmp_path / "other.log", "other")
        driver = drive(files=["app.log", "other.log"])
        driver.step()
        assert len(driver.events) == MOST_EVENTS

        add(log, "old")
        log.rename(log.with_name("app.log.1"))
        add(log, "new")

        assert [message for message in driver.poll() if message != "other"] == ["old", "new"]

    def test_a_writer_may_go_on_in_the_old_file_for_a_while(self, drive: Drive, log: Path) -> None:
        driver = drive(rotated_wait="5s")
        with log.open("a") as writer:
            for number in range(1, 6):
                print(number, file=writer, flush=True)
                if number == 2:
                    log.rename(log.with_name("app.log.1"))
                    log.touch()
                assert driver.poll(seconds=4) == [str(number)]
            print("late", file=writer, flush=True)
            assert driver.settle() == ["late"]
            print("too late", file=writer, flush=True)
            assert driver.settle() == []

    def test_the_last_line_of_an_old_file_may_have_no_end(self, drive: Drive, log: Path) -> None:
        driver = drive(rotated_wait="5s")
        add(log, "one", "two", end="\n")
        os.truncate(log, log.stat().st_size - 1)
        driver.poll()

        log.rename(log.with_name("app.log.1"))
        add(log, "three")

        assert driver.poll() == ["three"]
        assert driver.poll(seconds=4) == []
        assert driver.poll(seconds=2) == ["two"]
        assert len(driver.following._fold.tails) == 1

    def test_files_that_are_deleted_are_let_go(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, "one")
        driver.poll()

        log.unlink()
        driver.settle()

        assert driver.following._fold.tails == []
        assert driver.messages == [f"{log} does not exist: waiting for it"]
        add(log, "two")
        assert driver.poll() == ["two"]

    def test_a_file_with_the_same_inode_and_beginning_is_another_one(
        self, drive: Drive, log: Path
    ) -> None:
        driver = drive(rotated_wait=0)
        for _ in range(5):
            add(log, "started", "stopped")
            assert driver.poll() == ["started", "stopped"]
            log.unlink()
            driver.settle()

        assert len({event.event_id for event in driver.events}) == 10

    def test_a_file_that_is_moved_away_and_back_is_not_read_again(
        self, drive: Drive, log: Path, tmp_path: Path
    ) -> None:
        lines = numbered(1, 50)
        add(log, *lines)
        driver = drive()
        assert driver.poll() == lines

        for seconds in (1, 60):
            log.rename(tmp_path / "elsewhere")
            driver.poll(seconds=seconds)
            driver.poll(seconds=seconds)
            (tmp_path / "elsewhere").rename(log)
            assert driver.settle() == []
        add(log, "more")
        driver.restart()
        assert driver.poll() == ["more"]

    def test_a_glob_that_covers_the_old_names(self, drive: Drive, log: Path) -> None:
        driver = drive(files=["app.log*"])
        written = []
        for number in range(6):
            for old in range(4, 0, -1):
                path = log.with_name(f"app.log.{old}")
                if path.exists():
                    path.rename(log.with_name(f"app.log.{old + 1}"))
            if log.exists():
                log.rename(log.with_name("app.log.1"))
            add(log, *(lines := [f"{number}.{line}" for line in range(50)]))
            written += lines
            if number % 2:
                driver.poll()
            else:
                driver.settle()
        driver.settle()

        assert [event.message for event in driver.events] == written

    def test_a_renamed_file_within_a_glob_gives_its_last_line_in_the_end(
        self, drive: Drive, log: Path
    ) -> None:
        driver = drive(files=["app.log*"])
        add(log, "whole", "half", end="\n")
        os.truncate(log, log.stat().st_size - 1)
        driver.poll()

        log.rename(log.with_name("app.log.1"))

        assert driver.settle() == ["half"]
        assert driver.settle() == []

    def test_compressed_files_are_no_lines(self, drive: Drive, log: Path) -> None:
        add(log, "one")
        add(log.with_name("app.log.2.gz"), "no text")

        assert drive(files=["app.log*"]).poll() == ["one"]

    def test_a_link_that_leads_elsewhere(self, drive: Drive, tmp_path: Path) -> None:
        add(tmp_path / "day1", "one")
        (tmp_path / "current").symlink_to("day1")
        driver = drive(files=["current"])
        assert driver.poll() == ["one"]

        add(tmp_path / "day1", "two")
        add(tmp_path / "day2", "three")
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("day2")

        assert driver.poll() == ["two", "three"]

    def test_rotations_without_end_keep_few_files_open(self, drive: Drive, log: Path) -> None:
        driver = drive(max_files=2, rotated_wait="1h")
        for number in range(20):
            add(log, str(number))
            assert driver.poll() == [str(number)]
            log.rename(log.with_name(f"app.log.{number}"))

        assert len(driver.following._fold.tails) <= 4
        oldest = min(driver.following._fold.tails, key=lambda tail: tail.order)
        assert oldest.predecessor is None


class TestTruncation:
    def test_a_file_that_became_shorter_begins_anew(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, "one", "two")
        driver.poll()

        log.write_text("x\n")

        assert driver.poll() == ["x"]
        assert len({event.event_id for event in driver.events}) == 3

    @pytest.mark.parametrize("extra", [0, 1, 5000])
    def test_one_that_grew_again_in_between(self, extra: int, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, *numbered(1, 300))
        driver.poll()

        lines = numbered(1001, 1300)
        log.write_text("".join(line + "\n" for line in lines))
        size_before = sum(len(line) + 1 for line in numbered(1, 300))
        assert log.stat().st_size > size_before
        add(log, *(tail := numbered(9001, 9000 + extra)))

        assert driver.poll() == [*lines, *tail]

    def test_the_same_size_again(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, "aaa")
        driver.poll()

        log.write_text("bbb\n")

        assert driver.poll() == ["bbb"]

    def test_the_same_first_lines_again(self, drive: Drive, log: Path) -> None:
        header = ["# " + "licence " * 60]
        driver = drive()
        add(log, *header, "one")
        driver.poll()

        log.write_text("".join(line + "\n" for line in [*header, "two", "three"]))

        assert driver.poll() == [*header, "two", "three"]
        assert len({event.event_id for event in driver.events}) == 5

    def test_a_copy_is_read_to_its_end(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, *numbered(1, 20))
        driver.poll()

        add(log, *numbered(21, 40), "half", end="\n")
        os.truncate(log, log.stat().st_size - 1)
        copy_and_truncate(log, log.with_name("app.log.1"))
        add(log, *numbered(41, 60))

        assert driver.settle() == [*numbered(21, 60), "half"]
        assert len({event.event_id for event in driver.events}) == 61
        assert len(driver.following._fold.tails) == 1

    def test_a_copy_within_the_glob_is_not_read_again(self, drive: Drive, log: Path) -> None:
        driver = drive(files=["app.log*"])
        add(log, *numbered(1, 60))
        driver.poll()
        add(log, *numbered(61, 80))
        copy_and_truncate(log, log.with_name("app.log.1"))
        add(log, *numbered(81, 90))

        assert driver.settle() == numbered(61, 90)

    def test_a_copy_that_is_there_before_the_truncation(self, drive: Drive, log: Path) -> None:
        driver = drive(files=["app.log*"])
        add(log, *numbered(1, 60))
        driver.poll()
        add(log, *numbered(61, 80))
        shutil.copyfile(log, log.with_name("app.log.1"))
        driver.poll()
        os.truncate(log, 0)
        add(log, *numbered(81, 90))
        driver.settle()

        once = {event.event_id: event.message for event in driver.events}
        assert list(once.values()) == numbered(1, 90)

    def test_other_files_are_no_copies(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, *numbered(1, 20))
        add(log.with_name("app.log.err"), *numbered(1, 19), "other", "more")
        (log.with_name("app.log.d")).mkdir()
        driver.poll()

        log.write_text("new\n")

        assert driver.settle() == ["new"]

    def test_an_old_file_that_is_truncated_is_let_go(self, drive: Drive, log: Path) -> None:
        driver = drive()
        add(log, "one")
        driver.poll()
        old = log.with_name("app.log.1")
        log.rename(old)
        driver.poll()

        old.write_text("")

        assert driver.poll() == []
        assert driver.following._fold.tails == []


def test_years_are_kept_over_rotations_and_restarts(drive: Drive, log: Path) -> None:
    driver = drive(pattern="syslog", year=2023)
    add(log, "Dec 31 23:59:59 h a: 1", "Jan  1 00:00:00 h a: 2")
    driver.poll()
    log.rename(log.with_name("app.log.1"))
    add(log, "Jan  2 00:00:00 h a: 3")
    driver.poll()
    add(log, "Jan  3 00:00:00 h a: 4")
    driver.restart()
    driver.poll()

    assert [event.timestamp.year for event in driver.events] == [2023, 2024, 2024, 2024]
