"""Every command and option explains itself, is tested, and `--help` costs little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.support import cli, ok, refused
from tocsin.cli import COMMANDS, program

HERE = Path(__file__).parent
HEAVY = ("pydantic", "sqlalchemy", "rich", "durable_rules_engine", "alembic", "asyncio")


def commands(
    command: click.Command = program, way: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command with the words that lead to it."""
    yield way, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*way, name))


TREE = dict(commands())
LEAVES = {way: command for way, command in TREE.items() if not isinstance(command, click.Group)}


def options(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


def test_the_tree_is_the_one_that_is_meant() -> None:
    assert {" ".join(way) for way in LEAVES} >= {
        "run",
        "status",
        "config show",
        "config get",
        "config check",
        "events list",
        "events submit",
        "incidents list",
        "incidents get",
        "incidents timeline",
        "incidents stats",
        "rules list",
        "rules show",
        "rules enable",
        "rules disable",
        "rules update",
        "rules lint",
        "rules test",
        "simulate",
        "replay",
        "plugins list",
    }


@pytest.mark.parametrize("way", TREE, ids=" ".join)
def test_every_command_and_option_has_a_help_text(way: tuple[str, ...]) -> None:
    command = TREE[way]
    silent = [option.opts[-1] for option in options(command) if not option.help]
    assert command.help, way
    assert not silent, f"tocsin {' '.join(way)}: no help for {silent}"


@pytest.mark.parametrize("way", TREE, ids=" ".join)
def test_every_command_answers_to_help(way: tuple[str, ...]) -> None:
    short, long = ok(" ".join((*way, "-h"))), ok(" ".join((*way, "--help")))
    assert short == long
    assert long.out.startswith(f"Usage: {' '.join(('tocsin', *way))} [OPTIONS]")
    for option in options(TREE[way]):
        assert option.opts[-1] in long.out


def test_the_first_page_says_of_each_command_what_it_says_itself() -> None:
    for name, (_, summary) in COMMANDS.items():
        own = (TREE[name,].help or "").split("\n\n")[0]
        assert " ".join(own.split()).startswith(summary.rstrip(".").split(",")[0]), name


def strings(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def tried() -> dict[tuple[str, ...], set[str]]:
    """Give the options that tests mention together with a command.

    A test may leave the command to a function or constant of its file, and the options to
    `parametrize`.
    """
    found: dict[tuple[str, ...], set[str]] = {way: set() for way in LEAVES}
    for path in sorted(HERE.glob("test_*.py")):
        named: dict[str, ast.stmt] = {}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                named[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named[node.targets[0].id] = node
        for node in named.values():
            used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            parts = [node, *(named[name] for name in used & set(named))]
            texts = [text for part in parts for text in strings(part)]
            mentioned = {word for text in texts for word in re.findall(r"(?<!\S)--?[a-z-]+", text)}
            for way in LEAVES:
                if any(tuple(text.split()[: len(way)]) == way for text in texts):
                    found[way] |= mentioned
    return found


TRIED = tried()


@pytest.mark.parametrize("way", LEAVES, ids=" ".join)
def test_every_option_is_tried(way: tuple[str, ...]) -> None:
    names = {
        name
        for option in options(LEAVES[way])
        for name in (option.opts[0], *option.secondary_opts)
        if option.name != "config"  # the same for all, and tried in test_config.py
    }
    assert names <= TRIED[way], f"no test tries {sorted(names - TRIED[way])}"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = """
import sys
from tocsin.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded:"
    assert "tocsin" in loaded
    assert not set(HEAVY) & set(loaded)


def test_a_mistyped_command_names_the_nearest() -> None:
    said = refused("incidnts list")
    assert "No such command 'incidnts'" in said
    assert "did you mean 'incidents'?" in said
    assert "'.;" not in said  # a full stop and a semicolon after each other
    assert "did you mean 'list'?" in refused("incidents lst")
    assert "did you mean" not in refused("zzzzz").lower()


def test_without_a_command_there_is_the_help() -> None:
    outcome = cli("")
    assert outcome.code == 2
    assert "Commands:" in outcome.out + outcome.err
    assert ok("--version").out.startswith("tocsin, version ")
