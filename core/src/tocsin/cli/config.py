"""`tocsin config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tocsin.cli.groups import Group
from tocsin.cli.options import config_option, read_config
from tocsin.cli.output import write_json
from tocsin.errors import ConfigError, nearest
from tocsin.references import redact
from tocsin.selection import Selection, load_plugins, select_rules, select_rulesets
from tocsin.settings import Loaded


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


@config.command()
@config_option
def check(config: Path | None) -> None:
    """Check the settings, the plugins and rulesets that they name, and say what is in use."""
    loaded = read_config(config)
    plugins = load_plugins(loaded)
    selection = Selection(loaded, plugins)
    channels, sources = selection.channels(), selection.sources()
    selection.detectors()
    selection.correlators()
    selection.check()
    rules = select_rules(loaded, select_rulesets(loaded, plugins))
    enabled = sum(rule.enabled for rule in rules)
    path = loaded.document.path
    click.echo(f"settings: {'(defaults)' if path == '<mapping>' else path}")
    click.echo(f"rules:    {enabled} enabled, {len(rules) - enabled} disabled")
    click.echo(f"sources:  {', '.join(sources) or 'none'}")
    click.echo(f"notify:   {', '.join(channels) or 'nobody'}")
    click.echo("all is well")


def shown_settings(loaded: Loaded) -> dict[str, Any]:
    """Give the settings as they may be shown: without any secret that was filled in."""
    settings = loaded.settings.model_dump(mode="json")
    shown: dict[str, Any] = _without_secrets(settings, loaded.document.data, loaded.secrets)
    shown["database"] = _without_password(shown["database"])
    return shown


def _without_secrets(value: Any, written: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        inner = written if isinstance(written, Mapping) else {}
        return {key: _without_secrets(v, inner.get(key), secrets) for key, v in value.items()}
    if isinstance(value, list):
        items = written if isinstance(written, list) and len(written) == len(value) else []
        return [
            _without_secrets(v, items[i] if items else None, secrets) for i, v in enumerate(value)
        ]
    if isinstance(written, str) and "$" in written:
        return written
    return redact(value, secrets) if isinstance(value, str) else value


def _without_password(database: str) -> str:
    if "://" not in database:
        return database
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - large, and seldom needed here
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(database)
        hidden = {key: "***" for key in url.query if "pass" in key.lower()}
        return url.update_query_dict(hidden).render_as_string()
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return "***"


def _as_yaml(value: Any) -> str:
    import yaml  # noqa: PLC0415 - only `config show` writes YAML

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
