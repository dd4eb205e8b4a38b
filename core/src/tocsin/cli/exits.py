"""How a command ends: 0 all is well, 1 something failed at work, 2 what it was given is wrong."""

from __future__ import annotations

from typing import IO, Any

import click

from tocsin.errors import EventError, NoDatabaseError, PluginError, ProblemsError, TocsinError

WRONG = 2
FAILED = 1
INTERRUPTED = 130
"""128 and the number of the signal that Ctrl-C sends, as shells have it."""
_GIVEN = (ProblemsError, EventError, NoDatabaseError, PluginError)
"""Wrong settings, files and events, a database that is not there, plugins that do not fit."""


class FailedError(click.ClickException):
    """Something failed at work."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Say so in a line."""
        click.echo(f"tocsin: {self.message}", file=file, err=file is None)


class WrongError(FailedError):
    """What the command was given is wrong."""

    exit_code = WRONG


def exit_code(error: TocsinError) -> int:
    """Give how an error ends a command."""
    return WRONG if isinstance(error, _GIVEN) else FAILED
