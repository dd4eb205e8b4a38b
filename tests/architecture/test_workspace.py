"""What every package of the workspace has, and that none is forgotten."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PACKAGES = [ROOT / "core", *PLUGINS, ROOT / "rulesets"]
NOT_STANDARD: frozenset[str] = frozenset({"tocsin-causes-metrics"})
"""Plugins that are left to the user to install, for what they depend on or for what they may do."""


def read(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def test_every_folder_of_plugins_is_a_package() -> None:
    folders = {path for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    assert folders == set(PLUGINS)


def test_every_package_is_a_source_of_the_workspace() -> None:
    names = {read(folder)["project"]["name"] for folder in PACKAGES}
    assert set(read(ROOT)["tool"]["uv"]["sources"]) == names


def test_every_plugin_is_standard_or_named_as_not() -> None:
    requirements = read(ROOT / "core")["project"]["optional-dependencies"]["standard"]
    standard = {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}
    names = {folder.name for folder in PLUGINS}
    assert names - standard == NOT_STANDARD


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_plugin_is_named_as_its_folder(folder: Path) -> None:
    assert read(folder)["project"]["name"] == folder.name


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
class TestPackage:
    def test_says_that_it_is_typed(self, folder: Path) -> None:
        module = read(folder)["project"]["name"].replace("-", "_")
        assert (folder / "src" / module / "py.typed").is_file()

    def test_has_a_readme(self, folder: Path) -> None:
        assert read(folder)["project"]["readme"] == "README.md"
        assert (folder / "README.md").is_file()

    def test_has_the_licence(self, folder: Path) -> None:
        assert read(folder)["project"]["license"] == "Apache-2.0"
