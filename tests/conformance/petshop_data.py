"""Reads a data set of the layout of PetShop: a graph, normal metrics, and issues with the truth."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin_causes_metrics import Alarm, Graph, Metrics, SeriesKey

_LEVELS = 3  # rows of a metrics file that name its columns: component, metric, statistic
_PARTS = ("train", "test")


class DatasetError(Exception):
    """A folder that is not of the expected layout."""


@dataclass(frozen=True)
class Issue:
    """An incident with a known root cause."""

    name: str
    part: str
    window: Metrics
    alarm: Alarm
    cause: str


@dataclass(frozen=True)
class Dataset:
    """All of a folder."""

    graph: Graph
    normal: Metrics
    issues: tuple[Issue, ...]


def read_dataset(folder: Path) -> Dataset:
    """Read a folder with `graph.csv`, `noissue/metrics.csv` and issues in `train` and `test`.

    Args:
        folder: The folder.

    Raises:
        DatasetError: If something is missing or not as expected; the message names the place.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder, found {_what(folder)}")
    graph = read_graph(folder / "graph.csv")
    normal = read_metrics(folder / "noissue" / "metrics.csv")
    issues = tuple(
        _read_issue(place, part)
        for part in _PARTS
        for place in sorted((folder / part).glob("issue_*"), key=_number)
    )
    if not issues:
        raise DatasetError(
            f"{folder}: expected issues in {' or '.join(f'{part}/issue_N' for part in _PARTS)}, "
            "found none"
        )
    return Dataset(graph, normal, issues)


def read_graph(path: Path) -> Graph:
    """Read a matrix whose rows call its columns.

    Args:
        path: The file.

    Raises:
        DatasetError: If it is not such a matrix.
    """
    rows = _rows(path)
    if not rows or len(rows[0]) < 2:
        raise DatasetError(f"{path}: expected a first row with the names of components")
    columns = rows[0][1:]
    calls: dict[str, set[str]] = {name: set() for name in columns}
    for number, row in enumerate(rows[1:], 2):
        values = [_number_at(text, path, number, at) for at, text in enumerate(row[1:], 2)]
        called = {c for c, value in zip(columns, values, strict=True) if value > 0}
        calls.setdefault(row[0], set()).update(called)
    return Graph(calls)


def read_metrics(path: Path) -> Metrics:
    """Read rows of metrics, whose columns are named by component, metric and statistic.

    Args:
        path: The file.

    Raises:
        DatasetError: If it does not hold such rows.
    """
    rows = _rows(path)
    if len(rows) <= _LEVELS or len(rows[0]) < 2:
        raise DatasetError(
            f"{path}: expected {_LEVELS} rows that name the columns (component, metric, "
            f"statistic) and rows of values below, found {len(rows)} rows"
        )
    keys = [SeriesKey(*names) for names in zip(*(row[1:] for row in rows[:_LEVELS]), strict=True)]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DatasetError(f"{path}: expected each column once, found {tuple(twice)!r} again")
    # Below the names of the columns there may be a row with the name of the first one.
    named = not any(rows[_LEVELS][1:])
    table = sorted(
        [_number_at(text, path, number, at) for at, text in enumerate(row, 1)]
        for number, row in enumerate(rows[_LEVELS + named :], _LEVELS + named + 1)
    )
    if not table:
        raise DatasetError(f"{path}: expected rows of values, found none")
    times, *series = zip(*table, strict=True)
    try:
        return Metrics(times, dict(zip(keys, series, strict=True)))
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from None


def _read_issue(folder: Path, part: str) -> Issue:
    path = folder / "target.json"
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: expected JSON, found {error}") from None
    alarm = Alarm(
        _field(document, path, "target", "node"),
        _field(document, path, "target", "metric"),
        _field(document, path, "target", "agg"),
        float(_field(document, path, "target", "timestamp", (int, float))),
    )
    cause = _field(document, path, "root_cause", "node")
    return Issue(f"{part}/{folder.name}", part, read_metrics(folder / "metrics.csv"), alarm, cause)


def _field(
    document: Any, path: Path, section: str, name: str, kind: type | tuple[type, ...] = str
) -> Any:
    part = document.get(section) if isinstance(document, dict) else None
    value = part.get(name) if isinstance(part, dict) else None
    if not isinstance(value, kind):
        expected = "a text" if kind is str else "a number"
        raise DatasetError(f"{path}: {section}.{name}: expected {expected}, found {value!r}")
    return value


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: expected a CSV file, found {error}") from None
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise DatasetError(
                f"{path}: row {number}: expected {len(rows[0])} columns, found {len(row)}"
            )
    return rows


def _number_at(text: str, path: Path, row: int, column: int) -> float:
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise DatasetError(
            f"{path}: row {row}, column {column}: expected a number or nothing, found {text!r}"
        ) from None


def _number(folder: Path) -> tuple[int, str]:
    digits = folder.name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else 0, folder.name)


def _what(path: Path) -> str:
    return "a file" if path.exists() else "nothing"
