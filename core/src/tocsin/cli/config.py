"""`tocsin config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tocsin.cli.check import check_settings
from tocsin.cli.groups import Group
from tocsin.cli.options import config_option, read_config
from tocsin.cli.output import write_json
from tocsin.cli.secrecy import shown_settings
from tocsin.errors import ConfigError, nearest


@click.group(cls=Group)
def config() -> None:
    """Show and check the settings."""


@config.command()
@config_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to write.",
)
def show(config: Path | None, style: str) -> None:
    """Show all settings with their defaults; secrets stay the references that they are."""
    shown = shown_settings(read_config(config))
    if style == "json":
        write_json(shown)
    else:
        click.echo(_as_yaml(shown), nl=False)


@config.command()
@config_option
@click.argument("name")
def get(config: Path | None, name: str) -> None:
    """Show one setting, such as `incident_response.detection.isolation`."""
    value: Any = shown_settings(read_config(config))
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = value if isinstance(value, Mapping) else ()
            raise ConfigError.of(
                f"there is no setting {name!r}{nearest(part, known)}", path="config"
            )
        value = value[part]
    if isinstance(value, str):
        click.echo(value)
    else:
        write_json(value)


@config.command("check")
@config_option
def check_(config: Path | None) -> None:
    """Check the settings, the plugins and rulesets that they name, and say what is in use."""
    checked = check_settings(read_config(config))
    click.echo(f"settings: {checked.path or '(defaults)'}")
    click.echo(f"database: {checked.database}")
    click.echo(f"rules:    {checked.enabled} enabled, {checked.disabled} disabled")
    click.echo(f"sources:  {', '.join(checked.sources) or 'none'}")
    click.echo(f"notify:   {', '.join(checked.notifiers) or 'nobody'}")
    click.echo("all is well")


def _as_yaml(value: Any) -> str:
    import yaml  # noqa: PLC0415 - only `config show` writes YAML

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
