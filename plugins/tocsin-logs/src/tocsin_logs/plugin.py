"""What this package offers to Tocsin."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.capabilities import SourcePlugin
from tocsin.hookspecs import hookimpl
from tocsin_logs.params import LogsParams
from tocsin_logs.patterns import line_patterns
from tocsin_logs.source import LogsSource


@hookimpl
def tocsin_sources() -> Iterable[SourcePlugin]:
    """Offer the source `logs`."""
    yield SourcePlugin(
        name="logs",
        summary="Follows log files through rotations and restarts.",
        factory=LogsSource,
        params=LogsParams,
        patterns=line_patterns,
    )
