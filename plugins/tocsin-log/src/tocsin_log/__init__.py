"""A notifier that writes one structured line per notice to the log of the process."""

from tocsin_log.notifier import LOGGER, Levels, LogNotifier, LogParams

__all__ = ["LOGGER", "Levels", "LogNotifier", "LogParams"]
