"""The `tocsin` program. Commands are imported when they are used, so that `--help` is quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.exits import FAILED, INTERRUPTED, FailedError, exit_code
from tocsin.cli.groups import Group
from tocsin.cli.process import (
    discard_output,
    prepare_streams,
    program_name,
    reader_may_leave,
)
from tocsin.errors import ConfigError, ProblemsError, TocsinError, describe, nearest

if TYPE_CHECKING:
    from tocsin.plugins import PluginInfo, Plugins

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
_PLUGINS = "tocsin.plugins"
_PLUGIN = "tocsin.plugin"
"""Under which names the context keeps the plugins, and the one whose command runs."""


class Program(Group):
    """Finds commands by name without importing the others."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        """Read the options of the program itself."""
        with reader_may_leave():
            return super().make_context(info_name, args, *rest, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where that of a plugin fails, name the plugin."""
        with reader_may_leave():
            try:
                return super().invoke(ctx)
            except (click.ClickException, click.exceptions.Exit, click.Abort, TocsinError):
                raise
            except Exception as error:
                if _PLUGIN not in ctx.meta or isinstance(error, BrokenPipeError):
                    raise
                raise _failure(ctx.meta[_PLUGIN], str(ctx.invoked_subcommand), error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the built-in commands."""
        return list(COMMANDS)

    def known(self, ctx: click.Context) -> Iterable[str]:
        """Name the built-in commands and, where these have been looked for, those of plugins."""
        return [*COMMANDS, *ctx.meta.get(_PLUGINS, ())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a built-in command, or make the one that a plugin offers."""
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return _plugin_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        with formatter.section("Plugins may add more"):
            formatter.write_text("`tocsin plugins list` shows which commands they bring.")


def _plugin_command(ctx: click.Context, name: str) -> click.Command | None:
    # Imported here: only where a plugin is asked for.
    from tocsin.capabilities import CommandPlugin  # noqa: PLC0415

    plugins = _plugins(name)
    if plugins is None:
        return None
    commands = plugins.all(CommandPlugin)
    ctx.meta[_PLUGINS] = tuple(commands)
    if name not in commands:
        return None
    offer = f"command:{name}"
    owner = next(info for info in plugins.found() if offer in info.offers)
    ctx.meta[_PLUGIN] = owner
    try:
        command = commands[name].factory()
    except Exception as error:
        raise _failure(owner, name, error) from error
    if not isinstance(command, click.Command):
        wrong = TypeError(f"expected a click.Command, found {type(command).__name__}")
        raise _failure(owner, name, wrong)
    return command


def _plugins(name: str) -> Plugins | None:
    """Load the plugins that the settings do not disable.

    Settings that cannot be read may disable the very plugin that is asked for; they are told of,
    but where the name is near to that of a built-in command.
    """
    from tocsin.cli.options import read_config  # noqa: PLC0415 - see above
    from tocsin.selection import load_plugins  # noqa: PLC0415

    named = os.environ.get("TOCSIN_CONFIG")
    try:
        return load_plugins(read_config(Path(named) if named else None))
    except ConfigError:
        if nearest(name, COMMANDS):
            return None
        raise


def _failure(plugin: PluginInfo, command: str, error: Exception) -> FailedError:
    return FailedError(
        f"the command {command!r} of plugin {plugin.name!r} ({plugin.distribution}) fails:"
        f" {describe(error)}"
    )


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tocsin", prog_name="tocsin")
def program() -> None:
    """Tocsin: event streams in, incidents out."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and end the process."""
    prepare_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # see reader_may_leave
        discard_output()
        code = 0
    except OSError as error:
        discard_output()
        name = f"{error.filename}: " if error.filename else ""
        click.echo(f"tocsin: {name}{error.strerror or error}", err=True)
        code = FAILED
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code: Any = program.main(
            args=None if arguments is None else list(arguments),
            prog_name=program_name(),
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TocsinError as error:
        # Mistakes in files begin with their place.
        click.echo(str(error) if isinstance(error, ProblemsError) else f"tocsin: {error}", err=True)
        return exit_code(error)
    return code if isinstance(code, int) else 0
