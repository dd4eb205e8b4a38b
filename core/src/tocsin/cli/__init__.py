"""The `tocsin` program. Commands are imported when they are used, so that `--help` is quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tocsin.errors import ProblemsError, TocsinError, nearest

COMMANDS = {
    "run": ("tocsin.cli.run:run", "Watch the configured sources and open incidents."),
    "status": ("tocsin.cli.status:status", "Show how the journals and their managers are doing."),
    "config": ("tocsin.cli.config:config", "Show and check the settings."),
    "events": ("tocsin.cli.events:events", "List and submit events."),
    "incidents": ("tocsin.cli.incidents:incidents", "List incidents and look into them."),
    "rules": ("tocsin.cli.rules:rules", "List, change, lint and test detection rules."),
    "simulate": (
        "tocsin.cli.simulate:simulate",
        "Submit made-up events to see what comes of them.",
    ),
    "replay": (
        "tocsin.cli.replay:replay",
        "Put recorded events through rules, without a database.",
    ),
    "plugins": ("tocsin.cli.plugins:plugins", "List the installed plugins."),
}


class Program(click.Group):
    """Finds commands by name without importing the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the built-in commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a built-in command, or make the one that a plugin offers."""
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return _plugin_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; where there is none, name the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message + nearest(args[0], COMMANDS), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        with formatter.section("Plugins may add more"):
            formatter.write_text("`tocsin plugins list` shows which commands they bring.")


def _plugin_command(name: str) -> click.Command | None:
    from tocsin.capabilities import CommandPlugin  # noqa: PLC0415 - only where a plugin is asked for
    from tocsin.plugins import Plugins  # noqa: PLC0415

    found = Plugins().all(CommandPlugin).get(name)
    return found.factory() if found is not None else None


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tocsin", prog_name="tocsin")
def program() -> None:
    """Tocsin: event streams in, incidents out."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program: 0 all is well, 1 something failed, 2 the input is wrong."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; what Python still wants to flush goes nowhere.
        _discard_output()
        code = 0
    except OSError as error:
        _discard_output()
        click.echo(f"tocsin: {error.strerror or error}", err=True)
        code = 1
    sys.exit(code)


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code: Any = program.main(
            args=None if arguments is None else list(arguments),
            prog_name="tocsin",
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ProblemsError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return 2
    except TocsinError as error:
        click.echo(f"tocsin: {error}", err=True)
        return 2
    return code if isinstance(code, int) else 0
