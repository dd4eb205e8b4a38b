"""Measures the ranking of causes on a data set of the layout of PetShop.

Prints how often the true cause is the first or among the first three candidates, and how often
nothing is named where nothing is wrong: in windows of the normal period, each judged by that period
without the block that the window lies in.

Usage: python -m tests.conformance.petshop DATASET_DIR [--format json]

With --sensitivity, all is measured again with each parameter of the ranking halved and doubled.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson

from tests.conformance.petshop_data import Dataset, DatasetError, Issue, read_dataset
from tocsin_causes_metrics import Alarm, Candidate, Metrics, Params, rank

_BLOCKS = 5
_TOP = 3
_SHARES = ("persistence", "rare", "excuse")  # parameters that are at most 1


@dataclass(frozen=True)
class Hits:
    """How often the true cause came first, and among the first three."""

    issues: int
    top_1: int
    top_3: int


@dataclass(frozen=True)
class Silence:
    """How many normal windows there were, and in how many nothing was named."""

    windows: int
    silent: int


@dataclass(frozen=True)
class Report:
    """All that was measured."""

    hits: dict[str, Hits]
    silence: Silence
    missed: tuple[str, ...]
    loud: tuple[str, ...]


def measure(dataset: Dataset, params: Params | None = None, step: int = 1) -> Report:
    """Rank all issues and normal windows.

    Args:
        dataset: What to measure on.
        params: How strict the ranking is.
        step: How many rows lie between the starts of normal windows.

    Raises:
        DatasetError: If the normal period is too short to cut windows out.
    """
    places = {issue.name: _place(dataset, issue, params) for issue in dataset.issues}
    hits = {}
    for part in (*dict.fromkeys(issue.part for issue in dataset.issues), "all"):
        found = [places[i.name] for i in dataset.issues if part in {i.part, "all"}]
        hits[part] = Hits(len(found), sum(p == 1 for p in found), sum(p <= _TOP for p in found))
    missed = tuple(
        f"{issue.name}: {issue.cause} came "
        + (f"at place {places[issue.name]:.0f}" if places[issue.name] < np.inf else "not at all")
        for issue in dataset.issues
        if places[issue.name] > 1
    )
    windows = 0
    loud = []
    for history, window, alarm in cut_normal(dataset, step):
        windows += 1
        if named := rank(dataset.graph, history, window, alarm, params):
            loud.append(
                f"from {window.times[0]:.0f} on, alarm on {alarm.metric} of {alarm.component}: "
                f"named {named[0].component}"
            )
    return Report(hits, Silence(windows, windows - len(loud)), missed, tuple(loud))


def vary(params: Params) -> Iterator[tuple[str, Params]]:
    """Give parameters with each in turn halved and doubled, as far as its range allows.

    Args:
        params: The parameters to start from.
    """
    for field in fields(params):
        value = getattr(params, field.name)
        most = 1.0 if field.name in _SHARES else float("inf")
        for factor in (0.5, 2):
            other = type(value)(min(most, value * factor))
            yield f"{field.name}={other:g}", replace(params, **{field.name: other})


def place_of(cause: str, candidates: Iterable[Candidate]) -> float:
    """Give the place of the true cause, infinite where it is not named.

    Among candidates that share a place it counts as the last.

    Args:
        cause: The true cause.
        candidates: What the ranking named.
    """
    ranks = {candidate.component: candidate.rank for candidate in candidates}
    if cause not in ranks:
        return float("inf")
    return sum(other <= ranks[cause] for other in ranks.values())


def cut_normal(dataset: Dataset, step: int) -> Iterator[tuple[Metrics, Metrics, Alarm]]:
    """Cut windows out of the normal period, each with a history that knows nothing of its block.

    Each alarm of the issues is tried at each window, which has as many rows as its issues have
    most often, and as long after its first row as is usual with them.

    Args:
        dataset: What to cut from.
        step: How many rows lie between the starts of windows.

    Raises:
        DatasetError: If the normal period is too short.
    """
    normal = dataset.normal
    alarms: dict[tuple[str, str, str], list[Issue]] = {}
    for issue in dataset.issues:
        key = (issue.alarm.component, issue.alarm.metric, issue.alarm.statistic)
        alarms.setdefault(key, []).append(issue)
    shapes = {key: _usual_shape(issues) for key, issues in sorted(alarms.items())}
    edges = [len(normal.times) * block // _BLOCKS for block in range(_BLOCKS + 1)]
    for first, last in pairwise(edges):
        history = _take(normal, [*range(first), *range(last, len(normal.times))])
        for (component, metric, statistic), (rows, after) in shapes.items():
            if last - first < rows:
                raise DatasetError(
                    f"noissue/metrics.csv: expected {rows * _BLOCKS} rows at least to cut windows "
                    f"of {rows} rows out of {_BLOCKS} blocks, found {len(normal.times)}"
                )
            for start in range(first, last - rows + 1, step):
                window = _take(normal, range(start, start + rows))
                at = float(window.times[0]) + after
                yield history, window, Alarm(component, metric, statistic, at)


def _usual_shape(issues: list[Issue]) -> tuple[int, float]:
    """Give the usual number of rows, and how long after the first one the alarm usually comes."""
    rows = Counter(len(issue.window.times) for issue in issues)
    after = float(np.median([issue.alarm.at - issue.window.times[0] for issue in issues]))
    return min(rows, key=lambda number: (-rows[number], number)), after


def _take(metrics: Metrics, rows: Iterable[int]) -> Metrics:
    chosen = np.fromiter(rows, dtype=np.intp)
    return Metrics(
        metrics.times[chosen], {key: values[chosen] for key, values in metrics.series.items()}
    )


def _place(dataset: Dataset, issue: Issue, params: Params | None) -> float:
    named = rank(dataset.graph, dataset.normal, issue.window, issue.alarm, params)
    return place_of(issue.cause, named)


def render(report: Report) -> str:
    """Lay a report out as a table.

    Args:
        report: What was measured.
    """
    lines = [f"{'':12} {'issues':>8} {'top-1':>16} {'top-3':>16}"]
    lines += [
        f"{part:12} {hits.issues:8} {_share(hits.top_1, hits.issues):>16} "
        f"{_share(hits.top_3, hits.issues):>16}"
        for part, hits in report.hits.items()
    ]
    silence = report.silence
    lines += ["", f"{'':12} {'windows':>8} {'silent':>16}"]
    lines.append(
        f"{'specificity':12} {silence.windows:8} {_share(silence.silent, silence.windows):>16}"
    )
    for title, items in (("missed:", report.missed), ("loud:", report.loud)):
        lines += ["", title, *(f"  {item}" for item in items)] if items else []
    return "\n".join(lines)


def render_sensitivity(reports: dict[str, Report]) -> str:
    """Lay out as a table what was measured with different parameters.

    Args:
        reports: What was measured, by what was different.
    """
    lines = [f"{'sensitivity':18} {'top-1':>16} {'top-3':>16} {'silent':>18}"]
    for name, report in reports.items():
        hits, silence = report.hits["all"], report.silence
        lines.append(
            f"{name:18} {_share(hits.top_1, hits.issues):>16} "
            f"{_share(hits.top_3, hits.issues):>16} {_share(silence.silent, silence.windows):>18}"
        )
    return "\n".join(lines)


def as_json(report: Report, reports: dict[str, Report]) -> bytes:
    """Give what was measured as JSON.

    Args:
        report: What was measured.
        reports: What was measured with different parameters.
    """
    document = _figures(report) | asdict(report)
    if len(reports) > 1:
        document["sensitivity"] = {name: _figures(other) for name, other in reports.items()}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _figures(report: Report) -> dict[str, object]:
    hits, silence = report.hits["all"], report.silence
    return {
        "top_1": hits.top_1 / hits.issues,
        "top_3": hits.top_3 / hits.issues,
        "specificity": silence.silent / silence.windows,
    }


def _share(count: int, total: int) -> str:
    return f"{count}/{total} = {count / total:.3f}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Its arguments; without any, those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.petshop", description=__doc__
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET_DIR")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--step", type=int, default=1, help="rows between normal windows (1)")
    parser.add_argument(
        "--sensitivity", action="store_true", help="measure with other parameters too"
    )
    options = parser.parse_args(arguments)
    if options.step < 1:
        parser.error(f"--step: expected 1 or more, found {options.step}")
    try:
        dataset = read_dataset(options.dataset)
        reports = {"as it is": measure(dataset, step=options.step)}
        for name, params in vary(Params()) if options.sensitivity else ():
            reports[name] = measure(dataset, params, options.step)
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a program's output
        return 2
    report = reports["as it is"]
    text = as_json(report, reports).decode() if options.format == "json" else render(report)
    if options.sensitivity and options.format == "table":
        text += "\n\n" + render_sensitivity(reports)
    print(text)  # noqa: T201 - a program's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
