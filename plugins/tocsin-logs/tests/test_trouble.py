"""Files that are missing, forbidden, unreadable, too many, or no files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


class TestTrouble:
    def test_a_missing_file_is_waited_for(self, drive: Drive, log: Path) -> None:
        driver = drive()
        for _ in range(3):
            driver.poll()
        assert driver.messages == [f"{log} does not exist: waiting for it"]

        add(log, "one")

        assert driver.poll() == ["one"]

    def test_a_missing_folder_is_waited_for(self, drive: Drive, tmp_path: Path) -> None:
        driver = drive(files=["later/app.log", "app.log/under-a-file"])
        driver.poll()
        (tmp_path / "later").mkdir()
        add(tmp_path / "later" / "app.log", "one")

        assert driver.poll() == ["one"]

    def test_what_may_not_be_read_is_reported_once_and_tried_again(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(log, "old")
        real = os.open
        forbidden = True

        def guarded(path: Any, *args: Any, **named: Any) -> int:
            if forbidden and str(path) == str(log):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **named)

        monkeypatch.setattr(os, "open", guarded)
        driver = drive(start="end")
        for _ in range(3):
            assert driver.poll() == []
        assert driver.messages == [f"cannot read {log}: Permission denied"]

        forbidden = False

        assert driver.poll() == []  # it was there from the beginning
        add(log, "new")
        assert driver.poll() == ["new"]

    def test_a_folder_that_may_not_be_entered(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_path: Any, **_named: Any) -> os.stat_result:
            raise PermissionError(13, "Permission denied")

        driver = drive()
        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", refuse)
            driver.poll()
            driver.poll()

        assert driver.messages == [f"cannot read {log}: Permission denied"]

    def test_a_cursor_survives_that_its_file_may_not_be_read(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        driver = drive()
        add(log, "one")
        driver.poll()
        add(log, "two")

        def refuse(*_args: Any) -> int:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            for _ in range(2):
                driver.restart()
                assert driver.poll() == []

        assert driver.poll() == ["two"]

    @pytest.mark.parametrize(
        "failing", [{1}, {1, 2}, {1, 2, 3}, {1, 3}, {1, 4}, {1, 5}, {1, 6}, {1, 2, 5}]
    )
    def test_a_read_that_fails_is_tried_again(
        self, failing: set[int], drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        driver = drive()
        add(log, *numbered(1, 50))
        driver.poll()
        add(log, *numbered(51, 60))
        real, calls = os.pread, 0

        def flaky(*args: Any) -> bytes:
            nonlocal calls
            calls += 1
            if calls in failing:
                raise OSError(5, "Input/output error")
            return real(*args)

        monkeypatch.setattr(os, "pread", flaky)
        for _ in range(5):
            driver.poll()

        assert [event.message for event in driver.events] == numbered(1, 60)
        assert set(driver.messages) == {f"cannot read {log}: Input/output error"}

    def test_reading_at_the_start_may_fail_too(
        self, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(log, "old")

        def refuse(*_args: Any) -> bytes:
            raise OSError(5, "Input/output error")

        driver = drive(start="end")
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", refuse)
            driver.poll()
        add(log, "new")

        assert driver.poll() == []
        add(log, "newer")
        assert driver.poll() == ["newer"]

    @pytest.mark.parametrize("named", [True, False])
    def test_what_is_no_file_is_not_opened(self, named: bool, drive: Drive, tmp_path: Path) -> None:
        (tmp_path / "folder.log").mkdir()
        os.mkfifo(tmp_path / "pipe.log")
        driver = drive(files=["folder.log", "pipe.log"] if named else ["*.log"])

        driver.poll()
        driver.poll()

        expected = [
            f"cannot read {tmp_path / name}: not a file" for name in ("folder.log", "pipe.log")
        ]
        assert driver.messages == (expected if named else [])

    def test_more_files_than_allowed(self, drive: Drive, tmp_path: Path) -> None:
        for name in "abcd":
            add(tmp_path / f"{name}.log", name)
        driver = drive(files=["*.log"], max_files=3)

        assert driver.poll() == ["a", "b", "c"]
        assert driver.messages == ["there are more than 3 files: the others are left out"]
        (tmp_path / "a.log").unlink()
        driver.poll()
        assert driver.settle() == []
        assert [event.message for event in driver.events] == ["a", "b", "c", "d"]

    @pytest.mark.parametrize("failing", range(1, 10))
    def test_truncation_while_reads_fail(
        self, failing: int, drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        driver = drive()
        add(log, *numbered(1, 50))
        driver.poll()
        copy_and_truncate(log, log.with_name("app.log.1"))
        add(log, *numbered(51, 60))
        real, calls = os.pread, 0

        def flaky(*args: Any) -> bytes:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(5, "Input/output error")
            return real(*args)

        monkeypatch.setattr(os, "pread", flaky)
        for _ in range(5):
            driver.poll()

        assert [event.message for event in driver.events] == numbered(1, 60)

    def test_a_clock_that_is_set_back(self, drive: Drive, log: Path, tmp_path: Path) -> None:
        driver = drive(files=["*.log"])
        add(log, "one")
        driver.poll()
        add(tmp_path / "other.log", "two")

        assert driver.poll(seconds=-3600) == ["two"]

    def test_looking_is_not_done_more_often_than_asked_for(
        self, drive: Drive, tmp_path: Path
    ) -> None:
        driver = drive(files=["*.log"], poll="10s")
        driver.poll()
        add(tmp_path / "a.log", "one")

        assert driver.poll(seconds=1) == []
        assert driver.poll(seconds=10) == ["one"]

    def test_closing_while_a_step_runs(self, drive: Drive, log: Path) -> None:
        add(log, "one")
        driver = drive()
        driver.poll()
        with driver.following._lock:
            driver.following.close()
            assert driver.following._fold.tails
        driver.step()

        assert driver.following._fold.tails == []
