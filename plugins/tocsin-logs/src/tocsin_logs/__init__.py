"""A source that follows log files and turns their lines into events."""

from tocsin_logs.params import LogsParams
from tocsin_logs.patterns import line_patterns
from tocsin_logs.source import LogsSource

__all__ = ["LogsParams", "LogsSource", "line_patterns"]
