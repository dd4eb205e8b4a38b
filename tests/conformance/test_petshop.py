"""The ranking of causes on real incidents, and the program that measures it."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.petshop import main, measure, place_of
from tests.conformance.petshop_data import Dataset, Issue, read_dataset
from tocsin_causes_metrics import Alarm, Graph, Metrics, rank


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / "petshop" / "low_traffic"


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder)


@pytest.fixture
def small(folder: Path, tmp_path: Path) -> Path:
    """Give a copy with two issues that tests may spoil."""
    place = tmp_path / "small"
    for name in ("graph.csv", "noissue", "train/issue_0", "test/issue_10"):
        source, target = folder / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return place


@pytest.mark.slow
def test_the_goals_are_reached(dataset: Dataset) -> None:
    report = measure(dataset, step=10)

    for part, hits in report.hits.items():
        assert hits.top_1 / hits.issues >= 0.70, (part, report.missed)
        assert hits.top_3 / hits.issues >= 0.85, (part, report.missed)
    assert report.hits["all"].issues == 26
    assert report.silence.windows >= 100
    assert report.silence.silent == report.silence.windows, report.loud


@pytest.mark.parametrize("seed", [1, 2])
def test_names_and_columns_do_not_matter(dataset: Dataset, seed: int) -> None:
    chance = random.Random(seed)
    names = {key.component for key in dataset.normal.series} | set(dataset.graph.calls)
    others = [f"node {number}" for number in range(len(names))]
    chance.shuffle(others)
    to = dict(zip(sorted(names), others, strict=True))

    def renamed(metrics: Metrics) -> Metrics:
        columns = list(metrics.series.items())
        chance.shuffle(columns)
        return Metrics(
            metrics.times, {k._replace(component=to[k.component]): values for k, values in columns}
        )

    def alarm_of(issue: Issue) -> Alarm:
        return replace(issue.alarm, component=to[issue.alarm.component])

    calls = list(dataset.graph.calls.items())
    chance.shuffle(calls)
    graph = Graph({to[caller]: [to[c] for c in called] for caller, called in calls})
    normal = renamed(dataset.normal)
    for issue in dataset.issues:
        expected = rank(dataset.graph, dataset.normal, issue.window, issue.alarm)
        found = rank(graph, normal, renamed(issue.window), alarm_of(issue))

        assert [c.rank for c in found] == [c.rank for c in expected]
        assert {(c.component, c.rank, c.score) for c in found} == {
            (to[c.component], c.rank, c.score) for c in expected
        }


def test_the_program_prints_a_table_or_json(small: Path) -> None:
    command = [sys.executable, "-m", "tests.conformance.petshop", str(small), "--step", "100"]
    root = Path(__file__).parents[2]
    table, document = (
        subprocess.run(
            [*command, "--format", form], check=True, capture_output=True, text=True, cwd=root
        ).stdout
        for form in ("table", "json")
    )

    assert table.splitlines()[3].split() == ["all", "2", "2/2", "=", "1.000", "2/2", "=", "1.000"]
    assert "specificity        20    20/20 = 1.000" in table
    figures = json.loads(document)
    assert (figures["top_1"], figures["top_3"], figures["specificity"]) == (1, 1, 1)
    assert figures["hits"]["train"] == {"issues": 1, "top_1": 1, "top_3": 1}
    assert figures["silence"] == {"windows": 20, "silent": 20}


def test_a_cause_that_is_not_named_is_told(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = small / "train" / "issue_0" / "target.json"
    document = json.loads(target.read_text("utf-8"))
    document["root_cause"]["node"] = "PetSite"
    target.write_text(json.dumps(document), "utf-8")

    assert main([str(small), "--step", "200"]) == 0
    printed = capsys.readouterr().out
    assert "train               1      0/1 = 0.000" in printed
    assert "missed:\n  train/issue_0: PetSite came" in printed


def test_candidates_that_share_a_place_count_as_the_last(dataset: Dataset) -> None:
    issue = dataset.issues[0]
    found = rank(dataset.graph, dataset.normal, issue.window, issue.alarm)
    assert place_of(found[0].component, found) == 1
    tied = [replace(candidate, rank=1) for candidate in found]
    assert place_of(found[0].component, tied) == len(found)
    assert place_of("another", found) == float("inf")


def _drop_columns(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].rpartition(",")[0]]), "utf-8")


def _spoil_number(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], "soon" + lines[-1]]), "utf-8")


def _repeat_row(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[-1]]), "utf-8")


def _repeat_column(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [[*row, row[-1]] for row in csv.reader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _shorten(path: Path) -> None:
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[:20]), "utf-8")


def _forget_alarm(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    del document["target"]["agg"]
    path.write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("graph.csv", Path.unlink, "graph.csv: expected a CSV file, found"),
        ("graph.csv", _drop_columns, "graph.csv: row 43: expected 43 columns, found 42"),
        ("graph.csv", lambda path: path.write_text(""), "graph.csv: expected a first row"),
        ("noissue", shutil.rmtree, "metrics.csv: expected a CSV file, found"),
        ("noissue/metrics.csv", _spoil_number, "row 593, column 1: expected a number or nothing"),
        ("noissue/metrics.csv", _repeat_row, "expected each later than the one before, row 589"),
        ("noissue/metrics.csv", _repeat_column, "expected each column once, found"),
        ("noissue/metrics.csv", _shorten, "expected 25 rows at least to cut windows of 5 rows"),
        ("noissue/metrics.csv", lambda path: path.write_text("a,b\n"), "expected 3 rows that name"),
        ("train/issue_0/target.json", Path.unlink, "target.json: expected JSON, found"),
        ("train/issue_0/target.json", _forget_alarm, "target.agg: expected a text, found None"),
    ],
)
def test_a_folder_that_does_not_fit(
    small: Path, capsys: pytest.CaptureFixture[str], name: str, spoil: object, message: str
) -> None:
    spoil(small / name)  # type: ignore[operator]

    assert main([str(small)]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_issues(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(small / "train")
    shutil.rmtree(small / "test")

    assert main([str(small)]) == 2
    assert "expected issues in train/issue_N or test/issue_N, found none" in capsys.readouterr().err
    assert main([str(small / "missing")]) == 2
    assert "missing: expected a folder, found nothing" in capsys.readouterr().err
