"""What this package offers to Tocsin."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.capabilities import SourcePlugin
from tocsin.hookspecs import hookimpl
from tocsin_host.params import HostParams
from tocsin_host.source import HostSource


@hookimpl
def tocsin_sources() -> Iterable[SourcePlugin]:
    """Offer the source `host`."""
    yield SourcePlugin(
        name="host",
        summary="Memory, disks, load and zombie processes of this machine.",
        factory=HostSource,
        params=HostParams,
    )
