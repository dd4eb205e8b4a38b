"""The notifier `log`."""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import Field

from tocsin.capabilities import Params
from tocsin.models import IncidentSeverity, Notice
from tocsin_log.lines import json_line, text_line

LOGGER = "tocsin.notices"
"""The logger that the lines go to; where it writes is for the host to decide."""

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
_NUMBERS = logging.getLevelNamesMapping()


class Levels(Params):
    """The logging level for each severity."""

    low: Level = "INFO"
    medium: Level = "WARNING"
    high: Level = "ERROR"
    critical: Level = "CRITICAL"

    def number(self, severity: IncidentSeverity) -> int:
        """Give the level of a severity as `logging` counts it."""
        name: Level = getattr(self, severity.value)
        return _NUMBERS[name]


class LogParams(Params):
    """The parameters of the notifier `log`."""

    format: Literal["json", "text"] = "json"
    """`json` for one JSON object per line, `text` for `key=value` pairs."""
    level_by_severity: Levels = Field(default_factory=Levels)
    """The logging level for each severity; those left out keep their default."""


class LogNotifier:
    """Writes each notice as one line to the logger `tocsin.notices`."""

    def __init__(self, params: LogParams) -> None:
        self._line = json_line if params.format == "json" else text_line
        self._levels = params.level_by_severity
        self._logger = logging.getLogger(LOGGER)

    # Not `async`: a handler may block on a disk or a socket, so it belongs in a worker thread.
    def send(self, notice: Notice) -> None:
        """Write one line."""
        level = self._levels.number(notice.severity)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", self._line(notice))
