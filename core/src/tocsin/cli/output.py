"""Writes results: tables for people, JSON and CSV for machines."""

from __future__ import annotations

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
        writer.writerows([_csv_cell(row.get(column)) for column in columns] for row in rows)
        click.echo(buffer.getvalue(), nl=False)
    elif rows:
        _write_table(rows, columns)
    else:
        click.echo(empty)


def write_json(value: Any) -> None:
    """Write a value as indented JSON."""
    click.echo(_harmless(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_plain).decode()))


def json_line(value: Any) -> str:
    """Give a value as one line of JSON."""
    return _harmless(orjson.dumps(value, default=_plain).decode())


def _harmless(text: str) -> str:
    """Escape what a terminal obeys or what reorders text: it stands inside strings alone."""
    if text.isascii():
        return text
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
        value = ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}={item}" for key, item in value.items())
    return printable(str(value))


def printable(text: str) -> str:
    """Replace what could move the cursor or colour the screen: event data is not trusted."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _csv_cell(value: Any) -> str:
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
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        cells = [cell(row.get(column)) for column in columns]
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in cells))
    console().print(table)


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
