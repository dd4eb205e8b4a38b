"""What must not get into the repository, as it is true of one machine only."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK_FILES = {"package-lock.json", "uv.lock"}
FORBIDDEN = {
    "a path of one machine": re.compile(r"/(?:work|root)/"),
    "the address of a package index": re.compile(
        r"https?://[^\s\"']+/(?:simple|packages)\b"
        r"|files\.pythonhosted\.org|registry\.npmjs\.org|/-/[^/\s]+\.tgz"
    ),
}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    names = listing.stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def test_no_lock_file_is_tracked(tracked: list[Path]) -> None:
    """A lock file names the index that it was made with; constraints.txt does not."""
    assert {path.name for path in tracked} & LOCK_FILES == set()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_text_holds(what: str, tracked: list[Path]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def _text(path: Path) -> str:
    """Give the text of a file, or nothing for one that is not text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")
