"""What this package offers to Tocsin."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING

from tocsin.capabilities import CommandPlugin, NotifierPlugin, RulesetPlugin, SourcePlugin
from tocsin.hookspecs import hookimpl
from tocsin_example.file import FileNotifier, FileParams
from tocsin_example.spool import SpoolParams, SpoolSource

if TYPE_CHECKING:
    import click


@hookimpl
def tocsin_sources() -> Iterable[SourcePlugin]:
    """Offer the source `spool`."""
    yield SourcePlugin(
        name="spool",
        summary="A folder that should not fill up.",
        factory=SpoolSource,
        params=SpoolParams,
    )


@hookimpl
def tocsin_notifiers() -> Iterable[NotifierPlugin]:
    """Offer the notifier `file`."""
    yield NotifierPlugin(
        name="file",
        summary="Appends each notice to a file, as a line of JSON.",
        factory=FileNotifier,
        params=FileParams,
    )


@hookimpl
def tocsin_rulesets() -> Iterable[RulesetPlugin]:
    """Offer the ruleset `spool`."""
    yield RulesetPlugin(
        name="spool",
        summary="Spool folders that fill up.",
        file=files("tocsin_example") / "spool.yaml",
    )


@hookimpl
def tocsin_commands() -> Iterable[CommandPlugin]:
    """Offer the command `tocsin spool-count`."""
    yield CommandPlugin(name="spool-count", summary="Counts the files.", factory=_count)


def _count() -> click.Command:
    from tocsin_example.count import count  # noqa: PLC0415 - only where the command is used

    return count
