"""Finds plugins, keeps what they offer, and tells them what happens."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from tocsin import hookspecs
from tocsin.calls import Calls
from tocsin.capabilities import (
    Capability,
    CommandPlugin,
    CorrelatorPlugin,
    DetectorPlugin,
    NotifierPlugin,
    RulesetPlugin,
    SourcePlugin,
)
from tocsin.errors import PluginError, describe, nearest
from tocsin.hookspecs import PROJECT

_log = logging.getLogger(__name__)
_REGISTRATION = {
    "tocsin_detectors": DetectorPlugin,
    "tocsin_correlators": CorrelatorPlugin,
    "tocsin_notifiers": NotifierPlugin,
    "tocsin_sources": SourcePlugin,
    "tocsin_rulesets": RulesetPlugin,
    "tocsin_commands": CommandPlugin,
}
ANNOUNCEMENTS = (
    "tocsin_started",
    "tocsin_stopping",
    "tocsin_detected",
    "tocsin_incident_changed",
)
_WAITING = 10_000
Kind = TypeVar("Kind", bound=Capability)


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin that was found."""

    name: str
    distribution: str
    version: str
    status: str
    """`loaded`, `disabled` or `broken`."""
    problem: str = ""
    offers: tuple[str, ...] = ()
    """What it registered, as `kind:name`."""


@dataclass(frozen=True, slots=True)
class HookFailure:
    """A plugin that failed to take an announcement."""

    plugin: str
    hook: str
    error: Exception


class Plugins:
    """The plugins of one manager. Nothing is shared with other managers of the process."""

    def __init__(
        self,
        *,
        disable: Iterable[str] = (),
        extra: Iterable[object] = (),
        discover: bool = True,
        calls: Calls | None = None,
    ) -> None:
        """Find and load.

        Args:
            disable: names of plugins that are not loaded.
            extra: modules or objects with hook implementations, besides the installed ones.
            discover: whether installed plugins are looked for.
            calls: runs the plugins' functions.

        Raises:
            PluginError: two plugins offer the same thing, or a name to disable is not known.
        """
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._calls = calls or Calls()
        self._origins: dict[str, str] = {}
        self._found: dict[str, PluginInfo] = {}
        self._offers: dict[type, dict[str, Any]] = {kind: {} for kind in _REGISTRATION.values()}
        disabled = set(disable)
        points = sorted(entry_points(group=PROJECT), key=lambda p: p.name) if discover else []
        known = [point.name for point in points]
        for name in sorted(disabled - set(known)):
            raise PluginError(
                f"cannot disable plugin {name!r}: it is not installed{nearest(name, known)}",
                plugin=name,
            )
        for point in points:
            self._add(point, disabled)
        for number, plugin in enumerate(extra):
            self._register(plugin, _name_of(plugin, number), "(given in Python)", "")
        self._collect()

    def _add(self, point: EntryPoint, disabled: set[str]) -> None:
        distribution = point.dist.name if point.dist else "(unknown)"
        version = point.dist.version if point.dist else ""
        if point.name in self._found:
            other = self._found[point.name].distribution
            raise PluginError(
                f"two plugins are named {point.name!r}: one from {other}, one from {distribution};"
                " uninstall one of them",
                plugin=point.name,
                distribution=distribution,
            )
        if point.name in disabled:
            self._found[point.name] = PluginInfo(point.name, distribution, version, "disabled")
            return
        try:
            module = point.load()
            self._register(module, point.name, distribution, version)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the rest must start
            reason = describe(error)
            _log.warning("plugin %r of %s does not load: %s", point.name, distribution, reason)
            self._unregister(point.name)
            self._found[point.name] = PluginInfo(
                point.name, distribution, version, "broken", problem=reason
            )

    def _register(self, plugin: object, name: str, distribution: str, version: str) -> None:
        self._manager.register(plugin, name=name)
        self._check_pending(name)
        self._origins[name] = distribution
        self._found[name] = PluginInfo(name, distribution, version, "loaded")

    def _check_pending(self, name: str) -> None:
        """Refuse a hook that does not exist: it would never be called."""
        plugin = self._manager.get_plugin(name)
        known = [*_REGISTRATION, *ANNOUNCEMENTS]
        for attribute in dir(plugin):
            marked = self._manager.parse_hookimpl_opts(plugin, attribute)
            if marked is not None and attribute not in known:
                hint = nearest(attribute, known)
                raise PluginError(f"unknown hook {attribute!r}{hint}", plugin=name)

    def _unregister(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _collect(self) -> None:
        owners: dict[tuple[type, str], str] = {}
        for hook, kind in _REGISTRATION.items():
            for impl in getattr(self._manager.hook, hook).get_hookimpls():
                name = impl.plugin_name
                try:
                    offered: list[Any] = [
                        _checked(item, kind, hook) for item in impl.function() or ()
                    ]
                except Exception as error:  # noqa: BLE001 - see _add
                    reason = f"{hook} fails: {describe(error)}"
                    _log.warning("plugin %r is left out: %s", name, reason)
                    self._found[name] = replace(self._found[name], status="broken", problem=reason)
                    continue
                for item in offered:
                    if (kind, item.name) in owners:
                        raise self._clash(kind, item.name, owners[kind, item.name], name)
                    owners[kind, item.name] = name
                    self._offers[kind][item.name] = item
                    info = self._found[name]
                    self._found[name] = replace(
                        info, offers=(*info.offers, f"{kind_word(kind)}:{item.name}")
                    )

    def _clash(self, kind: type[Any], item: str, first: str, second: str) -> PluginError:
        what, origin = f"the {kind_word(kind)} {item!r}", self._origins[second]
        if first == second:
            message = f"plugin {second!r} from {origin} offers {what} twice"
        else:
            message = (
                f"two plugins offer {what}: {first!r} from {self._origins[first]} and {second!r}"
                f" from {origin}; disable one of them"
            )
        return PluginError(message, plugin=second, distribution=origin)

    # -- what there is ------------------------------------------------------------------------

    def found(self) -> Sequence[PluginInfo]:
        """List all plugins that were found, sorted by name."""
        return sorted(self._found.values(), key=lambda info: info.name)

    def all(self, kind: type[Kind]) -> dict[str, Kind]:
        """Give all capabilities of a kind, by name."""
        return dict(sorted(self._offers[kind].items()))

    def get(self, kind: type[Kind], name: str) -> Kind:
        """Give the capability of a name.

        Raises:
            PluginError: there is none; the message names the plugins, broken or disabled, that may
                be the reason.
        """
        offers: dict[str, Kind] = self._offers[kind]
        if name in offers:
            return offers[name]
        message = f"there is no {kind_word(kind)} {name!r}{nearest(name, offers)}"
        missing = [info for info in self.found() if info.status != "loaded"]
        causes = [info for info in missing if _fits(info, name)]
        if not causes:
            if offers:
                message += f"; installed: {', '.join(sorted(offers))}"
            # Any of them might have offered it: nobody knows what a plugin that is broken offers.
            causes = [info for info in missing if info.status == "broken"]
        for info in causes:
            message += f"; plugin {info.name!r} of {info.distribution} is {info.status}"
            message += f": {info.problem}" if info.problem else ""
        distribution = causes[0].distribution if len(causes) == 1 else ""
        raise PluginError(message, plugin=name, distribution=distribution)

    # -- announcements ------------------------------------------------------------------------

    def listens(self, hook: str) -> bool:
        """Say whether any plugin wants to hear an announcement."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    async def announce(self, hook: str, **facts: Any) -> list[HookFailure]:
        """Tell every plugin, in the order of registration; one that fails stops nobody."""
        failures: list[HookFailure] = []
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            arguments = [facts[name] for name in impl.argnames]
            try:
                await self._calls.run(impl.function, *arguments)
            except Exception as error:  # noqa: BLE001 - see above
                _log.warning("plugin %r failed in %s: %s", impl.plugin_name, hook, describe(error))
                failures.append(HookFailure(impl.plugin_name, hook, error))
        return failures


class Announcements:
    """Announces in the background, in order: a slow plugin does not hold up the evaluation."""

    def __init__(self, plugins: Plugins) -> None:
        self.dropped = 0
        """Announcements that nobody heard, since too many were waiting."""
        self._plugins = plugins
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(_WAITING)

    def put(self, hook: str, facts: dict[str, Any]) -> None:
        """Queue an announcement, if any plugin listens; one too many is dropped and counted."""
        if not self._plugins.listens(hook):
            return
        try:
            self._queue.put_nowait((hook, facts))
        except asyncio.QueueFull:
            if not self.dropped:
                _log.error("plugins take too long to hear announcements: from now on some are lost")
            self.dropped += 1

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            hook, facts = await self._queue.get()
            try:
                await self._plugins.announce(hook, **facts)
            finally:
                self._queue.task_done()

    async def drained(self) -> None:
        """Wait until everything queued has been announced."""
        await self._queue.join()


def kind_word(kind: type[Any]) -> str:
    """Name a kind of capability as people do, such as `notifier`."""
    return kind.__name__.removesuffix("Plugin").lower()


def _checked(item: Any, kind: type[Any], hook: str) -> Any:
    if not isinstance(item, kind):
        raise TypeError(f"{hook} must yield {kind.__name__}, found {type(item).__name__}")
    return item


def _fits(info: PluginInfo, name: str) -> bool:
    """Say whether a plugin's own name or that of its distribution speaks of a capability."""
    words = re.split(r"[-_.]+", f"{info.name}-{info.distribution}".lower())
    return info.name == name or set(re.split(r"[-_.]+", name.lower())) <= set(words)


def _name_of(plugin: object, number: int) -> str:
    name = getattr(plugin, "__name__", None) or type(plugin).__name__
    return f"{name}#{number}"
