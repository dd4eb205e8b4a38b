"""YAML as data with places: strict, and never more than problems comes of a bad file."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import yamlfile
from tocsin.yamlfile import from_mapping, read_file, read_text


def read(text: str) -> Any:
    document = read_text(text, path="f.yaml")
    assert document.problems == []
    return document.data


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_text(text, path="f.yaml").problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("NULL", None),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1E-7", 1e-7),
        ("1.e5", 100000.0),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        (".", "."),
        ("-", [None]),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        ("|\n  12\n", "12\n"),
        ("!!str 12", 12),
        ("9" * 40, int("9" * 40)),
        ("9" * 41, float("9" * 41)),
        ("٣", "٣"),
        ("=", "="),
        ("<<", "<<"),
        ("\ufeffx", "x"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(read(".nan"))


def test_keys_are_always_text() -> None:
    assert read("{1: a, true: b, null: c, on: d}") == {
        "1": "a",
        "true": "b",
        "null": "c",
        "on": "d",
    }


def test_places() -> None:
    document = read_text("a:\n  - x\n  - {b: 1,\n     cc: [2]}\n", path="f.yaml")
    assert document.values["a", 1, "cc", 0] == (4, 11)
    assert document.keys["a", 1, "cc"] == (4, 6)
    assert str(document.problem(("a", 1, "b"), "m")) == "f.yaml:3:9: m"
    assert str(document.problem(("a", 1, "b"), "m", at_key=True)) == "f.yaml:3:6: m"
    # What is not there is reported at what would hold it.
    assert str(document.problem(("a", 1, "d", 5), "m")) == "f.yaml:3:5: m"
    assert str(document.problem((), "m")) == "f.yaml:1:1: m"


def test_data_from_python_has_no_places() -> None:
    assert str(from_mapping({"a": 1}).problem(("a",), "m")) == "<mapping>: a: m"
    assert str(from_mapping({"a": 1}).problem((), "m")) == "<mapping>: m"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "f.yaml:2:1: not valid YAML: while parsing a flow node"),
        ("a: b: c", "f.yaml:1:5: not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b", "f.yaml:2:1: not valid YAML: while scanning for the next token"),
        ("a: *b", "f.yaml:1:4: not valid YAML: found undefined alias"),
        ("a\n---\nb", "f.yaml:2:1: not valid YAML: expected a single document"),
        ('"\\q"', "f.yaml:1:2: not valid YAML: while parsing a quoted scalar"),
        ("a: \x00", "f.yaml: not valid YAML: unacceptable character #x0000"),
        ("{a: 1, b: 2, a: 3}", "f.yaml:1:14: duplicate key 'a'"),
        ("? [1]\n: 2", "f.yaml:1:3: expected a word as key"),
        ("a: !!python/object:os.system {}", "f.yaml:1:4: expected a value without a tag, found"),
        ("a: !secret x", "f.yaml:1:4: expected a value without a tag, found '!secret'"),
        ("a: !!float 1", "f.yaml:1:4: expected a value without a tag"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(expected)


def test_all_mistakes_come_at_once_and_the_rest_is_read() -> None:
    document = read_text("a: 1\na: 2\nb: !x 3\nc: {d: 4, d: 5}\n", path="f.yaml")
    assert [(p.line, p.column) for p in document.problems] == [(2, 1), (3, 4), (4, 11)]
    assert document.data == {"a": 1, "b": None, "c": {"d": 4}}


def test_an_anchor_may_be_used_twice() -> None:
    assert read("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


BOMBS = {
    "laughs": "\n".join(
        ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    ),
    "itself": "a: &a [*a]",
    "itself, twice": "a: &a [*a, *a]",
    "itself in a mapping": "a: &a {b: *a, c: *a}",
    "too many": "[" + "x," * 5_001 + "]",
    "too deep": "[" * 62 + "]" * 62,
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(60)
def test_bombs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "laughs":  # which is there to be read up to the real limit
        monkeypatch.setattr(yamlfile, "_MAX_NODES", 5_000)
    found = problems(BOMBS[name])
    assert 1 <= len(found) <= 3
    assert "too many or too deeply nested values" in found[0]


def test_just_below_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "_MAX_NODES", 5_000)
    assert read("[" * 61 + "]" * 61)
    assert len(read("[" + "x," * 4_999 + "]")) == 4_999


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_no_nesting_ends_the_process(opening: str, depth: int, tmp_path: Path) -> None:
    """A file of 100 KB is enough to overflow the stack of a parser that calls itself."""
    path = tmp_path / "deep.yaml"
    path.write_text(opening * depth)
    program = (
        "import sys, pathlib, tocsin.yamlfile as y\n"
        "print(len(y.read_file(pathlib.Path(sys.argv[1])).problems))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0
    assert 1 <= int(result.stdout) <= 3


# -- files ---------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    (problem,) = read_file(missing).problems
    assert str(problem) == f"{missing}: cannot be read: No such file or directory"
    (problem,) = read_file(tmp_path).problems
    assert str(problem) == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("raw", "place"),
    [(b"\xff", (1, 1)), (b"a: 1\nb: \xe9\n", (2, 4)), (b"a: x\xc3", (1, 5))],
)
def test_a_file_that_is_not_utf_8(raw: bytes, place: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(raw)
    (problem,) = read_file(path).problems
    assert (problem.line, problem.column) == place
    assert "expected UTF-8, found byte 0x" in problem.message


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_file(path)
    assert (document.problems, document.data) == ([], {"a": 1, "b": 2})


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "_MAX_BYTES", 100)
    path = tmp_path / "large.yaml"
    path.write_text("#" * 100)
    assert read_file(path).problems == []
    path.write_text("#" * 101)
    (problem,) = read_file(path).problems
    assert problem.message == "is larger than 100 bytes"


@given(st.text(st.sampled_from("ab:-[]{},&*!|>'\"%@#\n \t\\?~01."), max_size=40))
@settings(deadline=None)
def test_nothing_but_problems_comes_of_any_text(text: str) -> None:
    document = read_text(text, path="f.yaml")
    assert all(problem.path == "f.yaml" for problem in document.problems)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner),
)


@given(JSON)
@settings(max_examples=50, deadline=None)
def test_json_reads_as_json(value: Any) -> None:
    # Escaped, as YAML takes some letters for line breaks; a surrogate pair is no letter in YAML.
    text = json.dumps(value, ensure_ascii=True)
    if "\\ud" not in text:
        assert read(text) == value
