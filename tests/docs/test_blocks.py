"""Every block of every page runs, and says what the page says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import NOT_RUN, ROOT, Page, pages, read_blocks

DATABASE = "DATABASE_URL"
"""A page that names this variable is run on PostgreSQL."""
SHOWN = {
    ("examples/tocsin-example/README.md", "yaml"): "needs the package; test_example.py loads it",
    ("plugins/tocsin-log/README.md", ""): "shortened lines; test_log_notifier.py reads whole ones",
}
"""Blocks that no test here can run, by page and language, and why."""


def _parameter(path: Path) -> Any:
    marks: list[Any] = [pytest.mark.timeout(300)]
    if DATABASE in path.read_text("utf-8"):
        marks.append(pytest.mark.postgres)
    return pytest.param(path, id=str(path.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("path", [_parameter(path) for path in pages()])
def test_blocks_of_page(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    page = Page(tmp_path)
    if DATABASE in path.read_text("utf-8"):
        page.environment[DATABASE] = request.getfixturevalue("postgres_url")
        monkeypatch.setenv(DATABASE, page.environment[DATABASE])
    before = set(sys.modules)
    try:
        _run(page, path)
    finally:
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[name]


def _run(page: Page, path: Path) -> None:
    for block in read_blocks(path):
        if (block.place, block.language) not in SHOWN:
            page.run(block)


def test_no_exception_is_left_over() -> None:
    blocks = [block for path in pages() for block in read_blocks(path)]
    assert set(SHOWN) <= {(block.place, block.language) for block in blocks}
    commands = [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.text.splitlines()
        if block.language in ("console", "sh") and line.startswith("$ ")
    ]
    unused = [start for start in NOT_RUN if not any(line.startswith(start) for line in commands)]
    assert unused == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```fortran\nx\n```\n", "nothing can run"),
        ("```\nx\n```\n", "nothing can run"),
        ("```text\nx\n```\n", "must be a file"),
        ("```console\ntocsin\n```\n", "expected lines that begin"),
        ("```console\n$ echo one\ntwo\n```\n", "expected:\ntwo"),
        ("```console\n$ false\n```\n", "ended with 1"),
        ("```yaml\nwhen: {event_typ: x}\n```\n", "unknown field 'event_typ'"),
        ("```python\nassert 1 == 2, 'wrong'\n```\n", "wrong"),
        ("- ```x y\n", "not read as one"),
        ("```text\nx\n", "does not end"),
    ],
)
def test_nothing_escapes(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(text, "utf-8")
    with pytest.raises(AssertionError, match=message):
        _run(Page(tmp_path), path)
