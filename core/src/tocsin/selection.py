"""Which rulesets, rules and plugins the settings select, checked against what there is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tocsin.calls import Calls
from tocsin.capabilities import (
    Correlator,
    CorrelatorPlugin,
    Detector,
    DetectorPlugin,
    NotifierPlugin,
    RulesetPlugin,
    Source,
    SourceContext,
    SourcePlugin,
)
from tocsin.errors import ConfigError, PluginError, Problem, nearest
from tocsin.notification import Channel
from tocsin.plugins import Plugins
from tocsin.references import redact
from tocsin.rules.loader import Ruleset, load_documents
from tocsin.rules.schema import Rule
from tocsin.settings import INSTALLED, Loaded, RuleSettings
from tocsin.validation import validate
from tocsin.yamlfile import Document, Location, read_file, read_text

_Described = TypeVar("_Described", DetectorPlugin, CorrelatorPlugin, NotifierPlugin, SourcePlugin)


def load_plugins(
    loaded: Loaded, extra: Iterable[object] = (), calls: Calls | None = None
) -> Plugins:
    """Load the installed plugins, but for those that the settings disable.

    Raises:
        ConfigError: the settings disable one that is not installed.
        PluginError: two plugins offer the same thing.
    """
    try:
        return Plugins(disable=loaded.settings.plugins.disable, extra=extra, calls=calls)
    except PluginError as error:
        if error.plugin in loaded.settings.plugins.disable:
            raise ConfigError([_problem(loaded, ("plugins", "disable"), str(error))]) from error
        raise


def _problem(loaded: Loaded, where: Location, message: str, *, at_key: bool = False) -> Problem:
    return loaded.problem(where, message, at_key=at_key)


def select_rulesets(loaded: Loaded, plugins: Plugins) -> tuple[Ruleset, ...]:
    """Read the rulesets that the settings name.

    Raises:
        ConfigError: one is neither installed nor a file.
        RulesetError: all mistakes in all of them.
    """
    installed = plugins.all(RulesetPlugin)
    documents: dict[str, Document] = {}
    problems: list[Problem] = []
    for index, name in enumerate(loaded.settings.rulesets):
        path = loaded.directory / name
        said = loaded.directory / loaded.written(("rulesets", index), name)
        if name == INSTALLED:
            for found in installed.values():
                documents.setdefault(found.name, _read_installed(found))
        elif name in installed:
            documents.setdefault(name, _read_installed(installed[name]))
        elif path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
            documents |= {str(file): read_file(file, said / file.name) for file in files}
        elif path.exists():
            documents[str(path)] = read_file(path, said)
        else:
            hint = nearest(name, [INSTALLED, *installed])
            message = f"ruleset {name!r} is neither an installed ruleset nor a file{hint}"
            problems.append(_problem(loaded, ("rulesets", index), message))
    if problems:
        raise ConfigError(problems)
    return load_documents(list(documents.values()))


def _read_installed(plugin: RulesetPlugin) -> Document:
    if isinstance(plugin.file, Path):
        return read_file(plugin.file)
    return read_text(plugin.file.read_text(encoding="utf-8"), path=str(plugin.file))


def select_rules(
    loaded: Loaded,
    rulesets: Iterable[Ruleset],
    stored: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Rule, ...]:
    """Give the rules with the changes of the settings and of the operators applied.

    Args:
        loaded: the settings.
        rulesets: what was read.
        stored: changes made by `tocsin rules`, which win over the settings.

    Raises:
        ConfigError: a change names a rule that does not exist, or cannot apply to it.
    """
    rules = {rule.id: rule for ruleset in rulesets for rule in ruleset.rules}
    problems: list[Problem] = []
    for rule_id, changes in loaded.settings.rules.items():
        where: Location = ("rules", rule_id)
        if rule_id not in rules:
            message = f"there is no rule {rule_id!r}{nearest(rule_id, rules)}"
            problems.append(_problem(loaded, where, message, at_key=True))
            continue
        try:
            rules[rule_id] = rules[rule_id].with_changes(**changes.changes())
        except ValueError as error:
            problems.append(_problem(loaded, where, str(error)))
    if problems:
        raise ConfigError(problems)
    for rule_id, change in (stored or {}).items():
        if rule_id in rules:
            wanted = RuleSettings.model_validate(change).changes()
            try:
                rules[rule_id] = rules[rule_id].with_changes(**wanted)
            except ValueError as error:
                message = f"{error}; undo it with `tocsin rules update {rule_id} --reset`"
                raise ConfigError.of(message, path="stored rule changes") from error
    return tuple(rules.values())


class Selection:
    """Builds the plugins' parts that the settings name, collecting every mistake."""

    def __init__(self, loaded: Loaded, plugins: Plugins) -> None:
        self._loaded = loaded
        self._plugins = plugins
        self.problems: list[Problem] = []

    def detectors(self) -> dict[str, Detector]:
        """Build the detectors in use."""
        chosen = self._loaded.settings.detectors
        return self._simple(
            DetectorPlugin, "detectors", chosen, lambda p, params: p.factory(params)
        )

    def correlators(self) -> dict[str, Correlator]:
        """Build the correlators in use."""
        chosen = self._loaded.settings.correlators
        return self._simple(
            CorrelatorPlugin, "correlators", chosen, lambda p, params: p.factory(params)
        )

    def _simple(
        self,
        kind: type[_Described],
        section: str,
        chosen: Mapping[str, Mapping[str, Any]],
        build: Callable[[_Described, BaseModel], Any],
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, raw in chosen.items():
            plugin, params = self._described(kind, (section, name), name, raw)
            if plugin is not None and params is not None:
                made[name] = self._build(name, functools.partial(build, plugin, params))
        return made

    def channels(self) -> dict[str, Channel]:
        """Build the notifiers in use; the log is by default, where its plugin is installed."""
        made: dict[str, Channel] = {}
        response = self._loaded.settings.incident_response
        named = "notifications" in response.model_fields_set
        for name, settings in response.notifications.items():
            if not settings.enabled or (
                not named and name not in self._plugins.all(NotifierPlugin)
            ):
                continue
            where: Location = ("incident_response", "notifications", name)
            plugin, params = self._described(
                NotifierPlugin, where, settings.use or name, settings.model_extra or {}
            )
            if plugin is not None and params is not None:
                notifier = self._build(name, functools.partial(plugin.factory, params))
                made[name] = Channel(name, notifier, settings.min_severity)
        return made

    def sources(self) -> dict[str, Callable[[SourceContext], Source]]:
        """Prepare the sources in use."""
        made: dict[str, Callable[[SourceContext], Source]] = {}
        for name, settings in self._loaded.settings.sources.items():
            if not settings.enabled:
                continue
            plugin, params = self._described(
                SourcePlugin, ("sources", name), settings.use or name, settings.model_extra or {}
            )
            if plugin is not None and params is not None:
                made[name] = _source_maker(plugin, params)
        return made

    def _described(
        self, kind: type[_Described], where: Location, name: str, raw: Mapping[str, Any]
    ) -> tuple[_Described | None, BaseModel | None]:
        try:
            plugin = self._plugins.get(kind, name)
        except PluginError as error:
            self.problems.append(_problem(self._loaded, where, str(error), at_key=True))
            return None, None
        params, problems = validate(plugin.params, self._loaded.part(where, raw), where)
        self.problems += problems
        return plugin, params

    def _build(self, name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (ValueError, ValidationError) as error:
            message = redact(f"{name}: {error}", self._loaded.secrets)
            self.problems.append(Problem(self._loaded.document.path, 0, 0, message))
            return None

    def check(self) -> None:
        """Report what was found wrong.

        Raises:
            ConfigError: anything was.
        """
        if self.problems:
            raise ConfigError(self.problems)


def _source_maker(plugin: SourcePlugin, params: BaseModel) -> Callable[[SourceContext], Source]:
    return lambda context: plugin.factory(params, context)
