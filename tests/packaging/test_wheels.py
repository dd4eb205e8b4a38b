"""The packages as their users get them: built as wheels and installed by pip, on each Python."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "core", *sorted((ROOT / "plugins").glob("*/")), ROOT / "rulesets"]
SNIPPET = ROOT / "core" / "tests" / "manager" / "snippet.txt"
RULE = {
    "id": "error",
    "title": "An error",
    "incident_type": "error_burst",
    "severity": "high",
    "when": {"event_type": "error"},
}

# One worker runs them, so that the wheels are built and installed once.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("wheels")]


def pythons() -> dict[str, str]:
    """Find the Pythons of this machine, as `make test` does: paths by version."""
    listed = subprocess.check_output([ROOT / "tests" / "pythons.sh"], text=True)
    return dict(line.split(" ", 1) for line in listed.splitlines())


PYTHONS = pythons()


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment with the packages, and a folder to run programs in."""

    folder: Path
    home: Path

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of it, away from the repository."""
        return run(self.folder / "bin" / program, *arguments, folder=self.home)


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """Give what a program writes; where it fails, the test does, with both of its outputs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env={**kept, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(folder: Path, *arguments: str | Path) -> None:
    """Run pip with the pinned versions, also where it builds what has no wheel."""
    pins = str(folder / "pins.txt")
    run(
        folder / "builder" / "bin" / "python",
        *("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments),
        folder=folder,
        PIP_CONSTRAINT=pins,
        PIP_BUILD_CONSTRAINT=pins,
    )


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build all packages; beside them lie the pinned versions, as pip wants them without hashes."""
    folder = tmp_path_factory.mktemp("packaging")
    pins = re.findall(
        r"^[\w.-]+==[^\\\n]+", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    (folder / "pins.txt").write_text("\n".join(pins))
    run(next(iter(PYTHONS.values())), "-m", "venv", "builder", folder=folder)
    pip(folder, "install", "hatchling")
    wheels = folder / "wheels"
    # Not isolated: pip would install hatchling anew for each package.
    pip(folder, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, *PACKAGES)
    return wheels


@pytest.fixture(scope="session")
def environments(wheels: Path) -> dict[str, Installed]:
    """Install the wheels on each Python, two at a time: most of it is waiting and unpacking."""
    with ThreadPoolExecutor(2) as threads:
        made = threads.map(partial(install, wheels), PYTHONS)
        return dict(zip(PYTHONS, made, strict=True))


def install(wheels: Path, version: str) -> Installed:
    """Make a virtual environment with the wheels and what they ask for."""
    venv, home = wheels.parent / f"venv-{version}", wheels.parent / f"home-{version}"
    home.mkdir()
    # One pip for all, as installing it takes longer than the packages.
    run(PYTHONS[version], "-m", "venv", "--without-pip", venv, folder=home)
    pip(wheels.parent, "--python", venv, "install", "--no-compile", *wheels.glob("*.whl"))
    return Installed(venv, home)


@pytest.fixture(params=PYTHONS)
def installed(request: pytest.FixtureRequest, environments: dict[str, Installed]) -> Installed:
    """Give the environment of one Python."""
    return environments[request.param]


def test_there_is_a_wheel_of_each_package(wheels: Path) -> None:
    names = {wheel.name.split("-")[0].replace("_", "-") for wheel in wheels.iterdir()}
    assert names == {
        tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        for folder in PACKAGES
    }


def test_the_program(installed: Installed) -> None:
    version = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text("utf-8"))
    assert installed.run("tocsin", "--version").split()[-1] == version["project"]["version"]
    assert "source:host" in installed.run("tocsin", "plugins", "list")
    # The rules of all installed rulesets, by the rules engine that was compiled for this Python.
    tested = re.search(r"(\d+) passed, 0 failed", installed.run("tocsin", "rules", "test"))
    assert tested is not None
    assert int(tested[1]) > 0


def test_the_snippet_of_the_documentation(installed: Installed) -> None:
    (installed.home / "rules.yaml").write_text(json.dumps({"ruleset": "own", "rules": [RULE]}))
    body = textwrap.indent(SNIPPET.read_text("utf-8") + "await manager.stop()\n", "    ")
    program = f"""\
import asyncio, sys, tocsin
config = {{"rulesets": ["rules.yaml"]}}
async def main():
{body}
    print(stats["by_type"], tocsin.__file__.startswith(sys.prefix))
asyncio.run(main())
"""
    assert installed.run("python", "-c", program) == "{'error_burst': 1} True\n"
