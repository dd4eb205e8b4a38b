"""What the program is to the shell: its name, its streams, and whoever reads them."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from tocsin.errors import ConfigError


def program_name() -> str:
    """Give what the program is called where its use is explained."""
    return f"{Path(sys.executable).name} -m tocsin" if _is_module() else "tocsin"


def start_words() -> str:
    """Give the words that start this program again from here."""
    if _is_module():
        return f"{_typed(sys.executable)} -m tocsin"
    return _typed(sys.argv[0]) if Path(sys.argv[0]).name == "tocsin" else "tocsin"


def _is_module() -> bool:
    started = Path(sys.argv[0])
    return started.name == "__main__.py" and started.parent.name == "tocsin"


def _typed(program: str) -> str:
    """Give what to type for a program: its name is enough where the shell finds it by that."""
    import shutil  # noqa: PLC0415 - seldom needed, and the start must be quick

    name = Path(program).name
    if program == name or shutil.which(name) == str(Path(program).absolute()):
        return name
    nearby = os.path.relpath(program)
    return shlex.quote(program if nearby.startswith(os.pardir) else nearby)


def prepare_streams() -> None:
    """Make the streams fit to be written to, whoever closed them and whatever letters they know."""
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A letter that cannot be written is shown by its number instead of ending the program.
        sys.stdout.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")  # until the process ends


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End well where the reader of the output has seen enough; to click it would be a failure."""
    try:
        yield
    except BrokenPipeError as error:
        discard_output()
        raise click.exceptions.Exit(0) from error


def discard_output() -> None:
    """Send to nowhere what Python still wants to write when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to be read; - is standard input.

    Raises:
        ConfigError: it cannot be opened.
    """
    if str(path) == "-":
        if sys.stdin is None:
            raise ConfigError.of("cannot be read: standard input is closed", path="-")
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; only opening is looked at here
    except OSError as error:
        raise ConfigError.of(f"cannot be read: {error.strerror}", path=str(path)) from error
    with file:
        yield file
