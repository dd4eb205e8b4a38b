"""The patterns that can be named, and how the settings of one become a pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from tocsin.capabilities import LinePattern, PatternFactory
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.apache import ApacheErrorPattern
from tocsin_logs.patterns.expressions import Expression, ExpressionPattern
from tocsin_logs.patterns.json_lines import JsonLinesPattern, ObjectLines
from tocsin_logs.patterns.nginx import NginxPattern
from tocsin_logs.patterns.sshd import SshdPattern
from tocsin_logs.patterns.syslog import SyslogPattern

READY: Mapping[str, Callable[[Calendar], LinePattern]] = {
    "apache_error": ApacheErrorPattern,
    "jsonl": JsonLinesPattern,
    "nginx": NginxPattern,
    "sshd": SshdPattern,
    "syslog": SyslogPattern,
}
"""By name."""


@dataclass(frozen=True, slots=True)
class ReadyPattern:
    """Makes one of the ready patterns for lines of the past."""

    name: str

    def __call__(self, *, year: int | None, timezone: tzinfo) -> LinePattern:
        """Make the pattern for lines whose timestamps lack a year or a time zone."""
        return READY[self.name](Calendar(timezone=timezone, year=year))


def line_patterns() -> Mapping[str, PatternFactory]:
    """Give the ready patterns by name."""
    return {name: ReadyPattern(name) for name in READY}


def pattern_of(described: str | Expression | ObjectLines, calendar: Calendar) -> LinePattern:
    """Make the pattern that settings describe."""
    if isinstance(described, Expression):
        return ExpressionPattern(calendar, described)
    if isinstance(described, ObjectLines):
        return JsonLinesPattern(calendar, described)
    return READY[described](calendar)
