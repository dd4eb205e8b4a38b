"""Describes the commands by their own help, always of the same width."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tocsin.cli import program

_WIDTH = 78
"""What click takes on a terminal of 80 columns or more."""


def pages() -> Iterator[str]:
    """Give the help of every command, as a page."""
    for path, text in helps():
        yield f"## `{path}`\n"
        yield f"<!-- figure -->\n```text\n{text}\n```\n"


def helps() -> Iterator[tuple[str, str]]:
    """Give the help of every command that comes with the core, parents first."""
    context = click.Context(program, info_name="tocsin", terminal_width=_WIDTH)
    context.help_option_names = ["-h", "--help"]
    yield from _helps(program, context)


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, text
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                child = click.Context(inner, info_name=name, parent=context, terminal_width=_WIDTH)
                yield from _helps(inner, child)
