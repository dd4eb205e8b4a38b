"""`tocsin plugins`, and plugins that do wrong: made as installed packages beside the others."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.support import cli, ok, refused, unbroken

COMMANDS = """
import click
from tocsin import hookimpl
from tocsin.capabilities import CommandPlugin

@click.command()
def hello():
    "Say hello."
    click.echo("hello from a plugin")

@click.command()
def failing():
    "Fail."
    raise ValueError("of the plugin")

@hookimpl
def tocsin_commands():
    yield CommandPlugin("hello", "Say hello.", lambda: hello)
    yield CommandPlugin("failing", "Fail.", lambda: failing)
"""
Install = Callable[..., None]


@pytest.fixture
def install(home: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Give the function that installs a package with one plugin, `tried`."""
    site = home / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    (home / "without.yaml").write_text("plugins: {disable: [tried]}\n", encoding="utf-8")

    def install(source: str, name: str = "tocsin-tried") -> None:
        module = f"tried_{uuid.uuid4().hex}"  # whatever a test before has imported
        metadata = site / f"{name.replace('-', '_')}-1.5.dist-info"
        metadata.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n"
        (metadata / "METADATA").write_text(text, encoding="utf-8")
        text = f"[tocsin]\ntried = {module}\n"
        (metadata / "entry_points.txt").write_text(text, encoding="utf-8")
        (site / f"{module}.py").write_text(source, encoding="utf-8")

    return install


def tried() -> dict[str, str]:
    rows = ok("plugins list --format json").json()
    found: dict[str, str] = next(row for row in rows if row["name"] == "tried")
    return found


@pytest.mark.usefixtures("home")
def test_list() -> None:
    rows = ok("plugins list --format json").json()
    assert all(row["status"] == "loaded" for row in rows)
    assert ok("plugins list --format csv").out.startswith(
        "name,distribution,version,status,offers,problem\n"
    )
    text = unbroken(ok("plugins list --format table").out)
    for row in rows:
        assert row["name"] in text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("x = = y", "SyntaxError: "),
        ("import sys; sys.exit(7)", "SystemExit: 7"),
    ],
)
def test_a_plugin_that_does_not_load_stops_nothing(
    install: Install, source: str, problem: str
) -> None:
    install(source)
    found = tried()
    assert (found["status"], found["version"]) == ("broken", "1.5")
    assert found["problem"].startswith(problem)
    assert "broken" in ok("plugins list --format table").out


def test_a_plugin_that_is_disabled_is_not_imported(install: Install) -> None:
    install("raise RuntimeError('at import')")
    row = "tried,tocsin-tried,1.5,disabled,,\n"
    assert row in ok("plugins list --format csv --config without.yaml").out


def test_a_plugin_brings_a_command(install: Install) -> None:
    install(COMMANDS)
    assert ok("hello").out == "hello from a plugin\n"
    assert ok("hello --help").out.startswith("Usage: tocsin hello [OPTIONS]\n")
    assert '"command:hello, command:failing"' in ok("plugins list --format csv").out


def test_a_mistyped_command_of_a_plugin_names_it(install: Install) -> None:
    install(COMMANDS)
    assert "did you mean 'hello'?" in refused("helo").lower()


def test_a_disabled_plugin_brings_no_command(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(COMMANDS)
    monkeypatch.setenv("TOCSIN_CONFIG", "without.yaml")
    assert "No such command 'hello'" in refused("hello")


def test_a_command_of_a_plugin_that_fails_names_the_plugin(install: Install) -> None:
    install(COMMANDS)
    outcome = cli("failing")
    assert outcome.code == 1
    assert "tried" in outcome.err
    assert "of the plugin" in outcome.err


def test_two_plugins_of_a_name_are_both_named(install: Install) -> None:
    install("")
    install("", "tocsin-other")
    said = refused("rules list")
    assert "two plugins are named 'tried'" in said
    assert "tocsin-other" in said
    assert "tocsin-tried" in said


def test_a_broken_plugin_leaves_help_alone(install: Install) -> None:
    install("raise RuntimeError('at import')")
    assert "Commands:" in ok("--help").out
