"""Writes results: tables for people, JSON and CSV for machines."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import Any

import click
import orjson

from tocsin.clock import isoformat

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_BEYOND_ASCII = re.compile("[\x7f-\U0010ffff]")
_TEXTS = ("title", "message", "text", "components", "problem", "offers", "value")
"""The columns of a table that may be broken over lines."""
_NARROWEST = 20
_BETWEEN = 3
"""What rich puts between two columns."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], style: str, *, empty: str
) -> None:
    """Write rows of plain values.

    Args:
        rows: what to write; JSON gets all of it.
        columns: the keys that a table and CSV show, in order.
        style: `table`, `json` or `csv`.
        empty: what a table says where there is nothing.
    """
    if style == "json":
        write_json(list(rows))
    elif style == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(row.get(column)) for column in columns] for row in rows)
        click.echo(buffer.getvalue(), nl=False)
    elif rows:
        _write_table(rows, columns)
    else:
        click.echo(empty)


def write_json(value: Any) -> None:
    """Write a value as indented JSON."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME
    click.echo(_harmless(orjson.dumps(value, option=option, default=_plain).decode()))


def json_line(value: Any) -> str:
    """Give a value as one line of JSON."""
    option = orjson.OPT_PASSTHROUGH_DATETIME
    return _harmless(orjson.dumps(value, option=option, default=_plain).decode())


def _harmless(text: str) -> str:
    """Escape what a terminal obeys or does not know: it stands inside strings alone."""
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    beyond = _OBEYED if codecs.lookup(encoding).name.startswith("utf") else _BEYOND_ASCII
    return beyond.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    halves = found[0].encode("utf-16-be")  # JSON names a letter beyond 16 bits by two halves
    return "".join(f"\\u{halves[i : i + 2].hex()}" for i in range(0, len(halves), 2))


def counted(number: int, thing: str) -> str:
    """Give a number of things, such as `1 event` or `2 events`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return isoformat(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def cell(value: Any) -> str:
    """Give a value as people read it, safe for a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return isoformat(value.replace(microsecond=0))
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, list | tuple):
        value = ", ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    return printable(str(value))


def printable(text: str) -> str:
    """Replace what could move the cursor or colour the screen: event data is not trusted."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def csv_cell(value: Any) -> str:
    """Give a cell that a spreadsheet does not take for a formula."""
    if isinstance(value, datetime):
        return isoformat(value)
    text = cell(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - rich is slow to import
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    needed = 0
    for column, texts in zip(columns, zip(*cells, strict=True), strict=True):
        title = column.replace("_", " ")
        width = max(cell_len(text) for text in (title, *texts))
        folds = column in _TEXTS
        least = min(width, _NARROWEST) if folds else width
        table.add_column(title, overflow="fold", no_wrap=not folds, min_width=least)
        needed += least + _BETWEEN
    for row in cells:
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    shown = console()
    # Nothing but texts is broken over lines: half an id cannot be copied. On a terminal that is too
    # narrow even so, the lines go on over its edge.
    shown.width = max(shown.width, needed)
    # Written by click: rich would end the program itself where nobody reads on.
    with shown.capture() as written:
        shown.print(table)
    lines = (line.rstrip() for line in written.get().strip("\n").splitlines())
    click.echo("\n".join(lines))


def console(*, error: bool = False) -> Any:
    """Give a console; piped output is wide enough not to be folded."""
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import

    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 200, highlight=False)


@contextmanager
def progress(label: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal; gives the function that moves it on."""
    if not sys.stderr.isatty():
        yield lambda _amount: None
        return
    from rich.progress import Progress  # noqa: PLC0415 - rich is slow to import

    # Only the bar goes to the terminal; what is written to standard output stays there.
    with Progress(
        console=console(error=True), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)
