"""Looks at everything that the settings name, and collects all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import entry_points

from tocsin.cli.exits import WrongError
from tocsin.cli.options import database_of
from tocsin.cli.secrecy import shown_settings
from tocsin.errors import ConfigError, Problem, ProblemsError
from tocsin.hookspecs import PROJECT
from tocsin.plugins import Plugins
from tocsin.rules.schema import Rule
from tocsin.selection import Selection, load_plugins, select_rules, select_rulesets
from tocsin.settings import Loaded, PluginSettings


@dataclass(frozen=True, slots=True)
class Checked:
    """What is in use."""

    path: str
    """The settings file; empty where there is none."""
    database: str
    enabled: int
    disabled: int
    sources: tuple[str, ...]
    notifiers: tuple[str, ...]


def check_settings(loaded: Loaded) -> Checked:
    """Check settings, and what of plugins, rulesets and files they name.

    Raises:
        ConfigError: all mistakes.
        PluginError: the installed plugins do not go together.
    """
    problems: list[Problem] = []
    try:
        database_of(loaded)
    except WrongError as error:
        problems.append(loaded.problem(("database",), error.message))
    plugins = _plugins(loaded, problems)
    selection = Selection(loaded, plugins)
    channels, sources = selection.channels(), selection.sources()
    selection.detectors()
    selection.correlators()
    problems += selection.problems
    rules: tuple[Rule, ...] = ()
    with _collected(problems):
        rules = select_rules(loaded, select_rulesets(loaded, plugins))
    if problems:
        raise ConfigError(problems)
    enabled = sum(rule.enabled for rule in rules)
    path = loaded.document.path
    return Checked(
        path="" if path == "<mapping>" else path,
        database=shown_settings(loaded)["database"],
        enabled=enabled,
        disabled=len(rules) - enabled,
        sources=tuple(sources),
        notifiers=tuple(channels),
    )


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except ProblemsError as error:
        problems += error.problems


def _plugins(loaded: Loaded, problems: list[Problem]) -> Plugins:
    """Load the plugins; names to disable that are not installed are told of one by one."""
    installed = {point.name for point in entry_points(group=PROJECT)}
    named = loaded.settings.plugins.disable
    for name in named:
        if name not in installed:
            with _collected(problems):
                load_plugins(_disabling(loaded, name))
    return load_plugins(_disabling(loaded, *(name for name in named if name in installed)))


def _disabling(loaded: Loaded, *names: str) -> Loaded:
    plugins = PluginSettings(disable=names)
    return replace(loaded, settings=loaded.settings.model_copy(update={"plugins": plugins}))
