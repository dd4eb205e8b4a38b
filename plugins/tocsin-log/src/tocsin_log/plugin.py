"""What this package offers to Tocsin."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.capabilities import NotifierPlugin
from tocsin.hookspecs import hookimpl
from tocsin_log.notifier import LogNotifier, LogParams


@hookimpl
def tocsin_notifiers() -> Iterable[NotifierPlugin]:
    """Offer the notifier `log`."""
    yield NotifierPlugin(
        name="log",
        summary="One structured line per notice, through the logger tocsin.notices.",
        factory=LogNotifier,
        params=LogParams,
    )
