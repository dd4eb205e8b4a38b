"""Ending anywhere and going on from the stored cursor: every line gives its event exactly once."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_logs import following, tails
from tocsin_logs.cursors import load

Drive = Callable[..., Any]

SMALL = 64
"""Bytes of the longest line, so that files need many looks."""


@pytest.fixture(scope="module", autouse=True)
def _small_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tails, "CHUNK", 2 * SMALL)
        patch.setattr(following, "MOST_EVENTS", 7)
        yield


class World:
    """A program that logs, what rotates its log, and what follows it and may be killed."""

    def __init__(self, driver: Any, log: Path) -> None:
        self.driver = driver
        self.log = log
        self.written: list[str] = []
        self.partial = ""
        self.rotations = 0
        self.rotated = False
        """Whether it was since what follows had last read everything."""

    def write(self, widths: list[int]) -> None:
        for width in widths:
            self.part(width)
            self.finish()

    def part(self, width: int) -> None:
        if not self.partial:
            text = f"{len(self.written)}-".ljust(width, "x")
            self.partial = text
            self._append(text)

    def finish(self) -> None:
        if self.partial:
            self._append("\n")
            self._completed()

    def rename(self) -> None:
        if self._reached() >= 0:
            self.log.rename(self._old_name())
            self._rotated()

    def copy_and_truncate(self) -> None:
        # A file of which nothing was read yet cannot be told by what was read.
        if self._reached() > 0:
            shutil.copyfile(self.log, self._old_name())
            os.truncate(self.log, 0)
            self._rotated()

    def _reached(self) -> int:
        """Say how far the file is read for good, or -1 where it was not found yet."""
        cursor = load(self.driver.cursor)
        if self.rotated or cursor is None or not self.log.exists():
            return -1
        inode = self.log.stat().st_ino
        return max((p.offset for p in cursor.places if p.inode == inode and not p.gone), default=-1)

    def steps(self, count: int) -> None:
        for _ in range(count):
            more = self.driver.step()
            self.rotated = self.rotated and more

    def crash(self, count: int) -> None:
        self.steps(count)
        self.driver.step(keep=False)
        self.driver.restart()

    def _append(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)

    def _completed(self) -> None:
        self.written.append(self.partial)
        self.partial = ""

    def _old_name(self) -> Path:
        self.rotations += 1
        return self.log.with_name(f"app.log.{self.rotations}")

    def _rotated(self) -> None:
        self.rotated = True
        if self.partial:
            self._completed()


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.lists(st.integers(1, SMALL), max_size=20)),
    st.tuples(st.just("part"), st.integers(1, SMALL)),
    st.tuples(st.sampled_from(["finish", "rename", "copy_and_truncate"])),
    st.tuples(st.sampled_from(["steps", "crash"]), st.integers(0, 6)),
)


@settings(max_examples=300, deadline=None)
@given(
    operations=st.lists(OPERATIONS, max_size=40), pattern=st.sampled_from(["app.log", "ap?.log"])
)
def test_every_line_gives_its_event_exactly_once(
    operations: list[Any], pattern: str, driver_class: type
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        driver = driver_class(Path(folder), files=[pattern], max_line_bytes=SMALL)
        world = World(driver, Path(folder) / "app.log")
        for name, *arguments in operations:
            getattr(world, name)(*arguments)
        world.finish()
        driver.restart()
        driver.settle()
        driver.following.close()

        assert Counter(event.message for event in driver.events) == Counter(world.written)
        assert len({event.event_id for event in driver.events}) == len(world.written)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ending_after_any_step(end: str, drive: Drive, tmp_path: Path) -> None:
    lines = [f"{number} " + "y" * (number % 50) for number in range(100)]
    (tmp_path / "app.log").write_bytes("".join(line + end for line in lines).encode())
    whole = drive(max_line_bytes=SMALL)
    assert whole.poll() == lines

    for kept in range(len(whole.batches)):
        driver = drive(max_line_bytes=SMALL)
        for _ in range(kept):
            driver.step()
        driver.step(keep=False)
        driver.restart()
        driver.poll()

        assert [event.message for event in driver.events] == lines
        assert [e.event_id for e in driver.events] == [e.event_id for e in whole.events]


def test_ending_inside_a_line_that_is_cut(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("a" * 9000 + "\nlast\n")
    driver = drive(max_line_bytes=SMALL)
    while driver.step():
        driver.restart()

    assert [event.message for event in driver.events] == ["a" * SMALL, "last"]
    assert driver.skipped == 1


def test_a_restart_does_not_give_ids_a_second_time(drive: Drive, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    driver = drive(rotated_wait=0)
    for _ in range(4):
        log.write_text("started\n")
        assert driver.poll() == ["started"]
        log.unlink()
        driver.settle()
        driver.restart()

    assert len({event.event_id for event in driver.events}) == 4


class TestRotatedWhileNobodyFollowed:
    @pytest.fixture
    def driver(self, drive: Drive, tmp_path: Path) -> Any:
        driver = drive(max_line_bytes=SMALL)
        self.add(tmp_path / "app.log", 1, 30)
        driver.poll()
        self.add(tmp_path / "app.log", 31, 60)
        driver.following.close()
        return driver

    @staticmethod
    def add(path: Path, first: int, last: int) -> None:
        with path.open("a") as file:
            file.writelines(f"line {number}\n" for number in range(first, last + 1))

    @staticmethod
    def numbers(driver: Any) -> list[int]:
        return [int(event.message.split()[1]) for event in driver.events]

    def test_renamed(self, driver: Any, tmp_path: Path) -> None:
        (tmp_path / "app.log").rename(tmp_path / "app.log.1")
        self.add(tmp_path / "app.log", 61, 90)
        driver.restart()
        driver.settle()

        assert self.numbers(driver) == list(range(1, 91))

    def test_renamed_to_any_name(self, driver: Any, tmp_path: Path) -> None:
        (tmp_path / "app.log").rename(tmp_path / "old-2025.txt")
        driver.restart()
        driver.settle()
        self.add(tmp_path / "app.log", 61, 90)
        driver.settle()

        assert self.numbers(driver) == list(range(1, 91))

    def test_copied_and_truncated(self, driver: Any, tmp_path: Path) -> None:
        shutil.copyfile(tmp_path / "app.log", tmp_path / "app.log.1")
        os.truncate(tmp_path / "app.log", 0)
        self.add(tmp_path / "app.log", 61, 90)
        driver.restart()
        driver.settle()

        assert self.numbers(driver) == list(range(1, 91))

    def test_restored_from_elsewhere(self, driver: Any, tmp_path: Path) -> None:
        shutil.copyfile(tmp_path / "app.log", tmp_path / "copy")
        (tmp_path / "app.log").unlink()
        (tmp_path / "copy").rename(tmp_path / "app.log")
        driver.restart()
        driver.settle()

        assert self.numbers(driver) == list(range(1, 61))

    def test_compressed(self, driver: Any, tmp_path: Path) -> None:
        log = tmp_path / "app.log"
        (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
        log.unlink()
        self.add(log, 61, 90)
        driver.restart()
        driver.settle()

        assert self.numbers(driver) == [*range(1, 31), *range(61, 91)]
        (message,) = driver.messages
        assert message.startswith(f"{log} was replaced while it was not followed: what the old")

    def test_its_folder_is_gone_for_a_while(self, driver: Any, tmp_path: Path) -> None:
        folder = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-away"))
        driver.restart()
        driver.settle()
        assert len(driver.events) == 30
        driver.restart()
        driver.settle()
        folder.rename(tmp_path)
        driver.settle()

        assert self.numbers(driver) == list(range(1, 61))

    def test_a_folder_of_a_glob_is_gone_for_a_while(self, drive: Drive, tmp_path: Path) -> None:
        folder, away = tmp_path / "pod", tmp_path.with_name(f"{tmp_path.name}-away")
        folder.mkdir()
        self.add(folder / "app.log", 1, 60)
        driver = drive(files=["*/app.log"])
        driver.poll()
        folder.rename(away)
        for _ in range(2):
            driver.restart()
            driver.settle()
        away.rename(folder)
        self.add(folder / "app.log", 61, 90)
        driver.settle()

        assert self.numbers(driver) == list(range(1, 91))
        assert driver.messages == []

    def test_two_places_that_lead_to_one_file(self, driver: Any) -> None:
        cursor = json.loads(driver.cursor)
        cursor["files"] *= 2
        driver.cursor = json.dumps(cursor)
        driver.restart()
        driver.settle()

        assert self.numbers(driver) == list(range(1, 61))
