"""Groups of commands that name the nearest where one is mistyped, whichever click is installed."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tocsin.errors import nearest


class Group(click.Group):
    """A group of commands."""

    def known(self, ctx: click.Context) -> Iterable[str]:
        """Name what a mistyped command may have meant."""
        return self.list_commands(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0].startswith("-"):
                raise
            hint = nearest(args[0], self.known(ctx))
            raise click.UsageError(f"No such command {args[0]!r}{hint}", ctx) from error
