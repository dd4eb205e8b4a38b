"""Every error that Tocsin raises on purpose, with the place it came from where there is one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONGEST = 500


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: where it is and what was found and expected."""

    path: str
    """The file as the user named it, or `<mapping>` for configuration given in Python."""
    line: int
    """Counted from 1; 0 where the place is not known."""
    column: int
    """Counted from 1; 0 where the place is not known."""
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.message}"


class TocsinError(Exception):
    """The base of all errors that Tocsin raises on purpose."""


class ProblemsError(TocsinError):
    """One or more mistakes in files, all reported together.

    Attributes:
        problems: the mistakes in order of path, line and column.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(ProblemsError):
    """The settings are not usable."""

    @classmethod
    def of(cls, message: str, *, path: str = "<mapping>") -> ConfigError:
        """Build the error for one mistake whose line is not known."""
        return cls([Problem(path, 0, 0, message)])


class RulesetError(ProblemsError):
    """A ruleset file is not usable."""


class PluginError(TocsinError):
    """A plugin could not be loaded, clashes with another, or failed while it ran.

    Attributes:
        plugin: the entry-point key of the plugin.
        distribution: the installed package that it comes from, or an empty string.
    """

    def __init__(self, message: str, *, plugin: str, distribution: str = "") -> None:
        self.plugin = plugin
        self.distribution = distribution
        super().__init__(message)


class TransitionError(TocsinError):
    """An incident may not go from one status to another.

    Attributes:
        current: the status that the incident has.
        wanted: the status that was asked for.
        allowed: the statuses that it may take from here.
    """

    def __init__(self, *, current: str, wanted: str, allowed: Sequence[str]) -> None:
        self.current = current
        self.wanted = wanted
        self.allowed = tuple(allowed)
        choices = ", ".join(allowed) or "nothing"
        super().__init__(f"an incident cannot go from {current} to {wanted}; allowed: {choices}")


class EventError(TocsinError):
    """An event was refused and is not stored.

    Attributes:
        event_id: the id of the refused event.
    """

    def __init__(self, message: str, *, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(message)


class StoreError(TocsinError):
    """The database cannot be opened, read or written."""


class NoDatabaseError(StoreError):
    """There is no database yet."""


class MatcherError(TocsinError):
    """The rules engine cannot be loaded or does not answer."""


class Retryable(TocsinError):  # noqa: N818 - a notifier raises it as a request, not as a failure of ours
    """Raised by a plugin when doing the same again may help.

    Attributes:
        after: seconds to wait before the next try, or None to leave it to the caller.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


def describe(error: BaseException) -> str:
    """Put an error of foreign code into one line that can be logged and stored anywhere."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return clean(line)


def clean(text: str) -> str:
    """Give a text with what cannot be shown or stored replaced, and cut to a bounded length."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}..."


def nearest(found: str, known: Iterable[str]) -> str:
    """Name the known word nearest to what was found, as the end of a message.

    Returns an empty string where nothing is near, otherwise `; did you mean 'x'?`.
    """
    near = difflib.get_close_matches(found, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
