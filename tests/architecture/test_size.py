"""A module that one can read in one go."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 400


def test_modules_are_short() -> None:
    modules = [
        module
        for folder in ("core/src", "plugins/*/src", "rulesets/src")
        for module in ROOT.glob(f"{folder}/**/*.py")
    ]
    assert modules
    lengths = {m.relative_to(ROOT): len(m.read_text("utf-8").splitlines()) for m in modules}
    assert {module: length for module, length in lengths.items() if length >= LIMIT} == {}
