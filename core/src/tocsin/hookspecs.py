"""Everything that a plugin can hook into.

Registration hooks are plain functions, called once at start, that yield descriptors. Announcement
hooks are told what happened; they may be `def` (run in a worker thread) or `async def` (run on the
loop), each failure is isolated, and a timeout applies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from tocsin.capabilities import (
        CommandPlugin,
        CorrelatorPlugin,
        DetectorPlugin,
        NotifierPlugin,
        RulesetPlugin,
        SourcePlugin,
    )
    from tocsin.models import Detection, Incident

PROJECT = "tocsin"
"""The name of the entry-point group and the prefix of every hook."""
HOOK_API = 1
"""Rises when a hook changes in a way that breaks plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tocsin_detectors() -> Iterable[DetectorPlugin]:
    """Offer detectors: pure Python that finds trouble which rules cannot express.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_detectors():
            yield DetectorPlugin(name="parity", summary="Odd numbers of events.", factory=Parity)
    """
    return ()


@hookspec
def tocsin_correlators() -> Iterable[CorrelatorPlugin]:
    """Offer correlators: what says into which open incident a detection belongs.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_correlators():
            yield CorrelatorPlugin(name="region", summary="Same region.", factory=ByRegion)
    """
    return ()


@hookspec
def tocsin_notifiers() -> Iterable[NotifierPlugin]:
    """Offer notifiers: ways to tell people.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_notifiers():
            yield NotifierPlugin(name="bell", summary="Rings the terminal's bell.", factory=Bell)
    """
    return ()


@hookspec
def tocsin_sources() -> Iterable[SourcePlugin]:
    """Offer sources: where events come from.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_sources():
            yield SourcePlugin(name="ticks", summary="An event a minute.", factory=Ticks)
    """
    return ()


@hookspec
def tocsin_rulesets() -> Iterable[RulesetPlugin]:
    """Offer ruleset files that come with the package.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_rulesets():
            yield RulesetPlugin(
                name="shop", summary="Rules for the shop.", file=files(__name__) / "shop.yaml"
            )
    """
    return ()


@hookspec
def tocsin_commands() -> Iterable[CommandPlugin]:
    """Offer further commands of the `tocsin` program.

    Since: 0.1

    Example:
        @hookimpl
        def tocsin_commands():
            yield CommandPlugin(name="hello", summary="Says hello.", factory=hello_command)
    """
    return ()


@hookspec
def tocsin_started(stream: str) -> None:
    """Hear that a manager has started and accepts events.

    Since: 0.1

    Args:
        stream: the name of the journal's stream.

    Example:
        @hookimpl
        async def tocsin_started(stream):
            print(f"watching {stream}")
    """


@hookspec
def tocsin_stopping(stream: str) -> None:
    """Hear that a manager is about to stop; everything accepted has been evaluated.

    Since: 0.1

    Args:
        stream: the name of the journal's stream.

    Example:
        @hookimpl
        def tocsin_stopping(stream):
            print(f"no longer watching {stream}")
    """


@hookspec
def tocsin_detected(detection: Detection) -> None:
    """Hear of a detection, after it is stored.

    Since: 0.1

    Args:
        detection: what the rule found.

    Example:
        @hookimpl
        def tocsin_detected(detection):
            print(detection.title)
    """


@hookspec
def tocsin_incident_changed(incident: Incident, change: str) -> None:
    """Hear that an incident was opened or changed, after it is stored.

    Since: 0.1

    Args:
        incident: the incident as it is now.
        change: `opened`, `joined`, `escalated`, `cleared`, or the name of a status.

    Example:
        @hookimpl
        async def tocsin_incident_changed(incident, change):
            print(incident.id, change)
    """
