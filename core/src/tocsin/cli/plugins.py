"""`tocsin plugins`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tocsin.cli.groups import Group
from tocsin.cli.options import config_option, format_option, read_config
from tocsin.cli.output import write_rows
from tocsin.selection import load_plugins

_COLUMNS = ("name", "distribution", "version", "status", "offers", "problem")


@click.group(cls=Group)
def plugins() -> None:
    """List the installed plugins."""


@plugins.command("list")
@config_option
@format_option
def list_(config: Path | None, style: str) -> None:
    """List the installed plugins, what they offer, and which are broken or disabled."""
    found = load_plugins(read_config(config)).found()
    write_rows([asdict(info) for info in found], _COLUMNS, style, empty="no plugins are installed")
