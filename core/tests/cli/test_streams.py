"""What the program does with terminals, pipes that end, full disks and other encodings."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest

from cli.support import event, program, write_lines

INLINE = "replay --isolation inline --rules rules.yaml --events events.jsonl"
# Each writes in its own way: click, a table, and lines without click.
COMMANDS = ("--help", "incidents list", INLINE)


@pytest.fixture(autouse=True)
def _recorded(world: Path) -> None:
    write_lines(world / "events.jsonl", [event(1), event(2), event(3)])


def on_terminal(command: str, *, columns: int = 80, interrupt: float | None = None) -> bytes:
    """Run a shell command with a terminal for all streams that it leaves alone."""
    program = f"{shlex.quote(sys.executable)} -m tocsin"
    child, terminal = pty.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", command.replace("tocsin", program, 1)])  # noqa: S606
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    written, started, code = b"", time.monotonic(), None
    try:
        while time.monotonic() - started < 15:
            if interrupt is not None and time.monotonic() - started > interrupt:
                os.write(terminal, b"\x03")
                interrupt = None
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(terminal, 65536)
            except OSError:  # Linux: nobody has the other end any more
                break
            if not read:
                break
            written += read
        else:
            os.kill(child, signal.SIGKILL)
            pytest.fail("did not end in time")
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
    assert code in (0, 130), written
    return written


@pytest.mark.parametrize("style", ["json", "table"])
def test_replay_writes_to_the_file_although_a_bar_moves_on_the_terminal(
    world: Path, style: str
) -> None:
    shown = on_terminal(f"tocsin {INLINE} --format {style} > out")
    assert (world / "out").read_text(encoding="utf-8").count("3 errors from api within 1m") == 2
    assert b"3 errors from api" not in shown
    assert b"replay" in shown  # the bar


def test_replay_does_not_fold_its_lines_on_a_terminal() -> None:
    shown = on_terminal(f"tocsin {INLINE}").replace(b"\r\n", b"\n")
    whole = [line for line in shown.split(b"\n") if b'"kind":"incident"' in line]
    assert all(b'"detection_id"' in line for line in whole)


@pytest.mark.parametrize(
    "command",
    [
        "tocsin events submit events.jsonl",
        "tocsin rules test error_burst --events events.jsonl",
    ],
)
def test_long_work_shows_its_progress(command: str) -> None:
    assert "━" in on_terminal(command).decode()


def test_a_pipe_gets_no_colours(world: Path) -> None:
    on_terminal("tocsin incidents list > out 2>&1")
    assert "\x1b" not in (world / "out").read_text(encoding="utf-8")


def test_a_terminal_gets_colours() -> None:
    assert b"\x1b[" in on_terminal("tocsin incidents list", columns=200)


def test_a_narrow_terminal_leaves_ids_whole() -> None:
    """An id that is broken over lines cannot be copied."""
    shown = on_terminal("tocsin rules list", columns=60)
    assert b"error_burst" in shown
    assert b"login_errors" in shown


def test_interrupting_a_replay_that_waits_for_its_input() -> None:
    started = time.monotonic()
    # Without a shell in between, which gets the signal too and may die of it.
    on_terminal(f"exec tocsin {INLINE.replace('events.jsonl', '-')}", interrupt=4)
    assert time.monotonic() - started < 12


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_seen_enough_is_no_failure(command: str) -> None:
    receiver, sender = os.pipe()
    os.close(receiver)
    with program(command, stdout=sender, stderr=subprocess.PIPE) as process:
        os.close(sender)
        _, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_told_in_a_line(command: str) -> None:
    with Path("/dev/full").open("wb") as full, program(command, stdout=full) as process:
        _, err = process.communicate(timeout=30)
    assert b"No space left on device" in err
    assert b"Traceback" not in err
    assert process.returncode == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_without_standard_output_there_is_no_traceback(command: str) -> None:
    line = f"exec {shlex.quote(sys.executable)} -m tocsin {command} >&-"
    done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, timeout=30)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["events submit -", INLINE.replace("events.jsonl", "-")])
def test_without_standard_input_there_is_no_traceback(command: str) -> None:
    line = f"exec {shlex.quote(sys.executable)} -m tocsin {command} <&-"
    done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, timeout=30)
    assert b"Traceback" not in done.stderr


def test_a_terminal_that_knows_only_ascii(world: Path) -> None:
    lines = [event(5, "disk_full", "東京", message="naïve")]
    write_lines(world / "events.jsonl", lines)
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in ("events submit events.jsonl", "events list --format csv", INLINE):
        with program(command, environment=plain) as process:
            _, err = process.communicate(timeout=30)
        assert process.returncode == 0, (command, err)
