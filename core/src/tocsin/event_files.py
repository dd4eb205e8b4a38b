"""Reads recorded events: JSON lines, or the lines of a log through a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import BinaryIO, NamedTuple

from pydantic import ValidationError

from tocsin.capabilities import LinePattern, SourcePlugin
from tocsin.errors import ConfigError, Problem, ProblemsError, nearest
from tocsin.models import Event, IncidentEvent
from tocsin.models.wire import decode_lines
from tocsin.plugins import Plugins
from tocsin.validation import shown

_CHUNK = 256 * 1024
_MOST_PROBLEMS = 20
_MAX_LINE = 16 * 1024 * 1024
_PLACE = re.compile(r" at line 1 column (\d+)$")
"""Where pydantic says that a text is no JSON."""


class Lines(NamedTuple):
    """Lines that follow each other; some may be blank."""

    first: int
    """The number of the first one, counted from 1."""
    texts: list[bytes]

    def numbered(self) -> Iterator[tuple[int, bytes]]:
        """Give the lines that are not blank with their numbers."""
        for number, text in enumerate(self.texts, self.first):
            if text.strip():
                yield number, text


class EventFileError(ProblemsError):
    """Lines of a file that are not events; the first of them.

    Attributes:
        left_out: how many further mistakes are not named.
    """

    def __init__(self, problems: Sequence[Problem], left_out: int = 0) -> None:
        self.left_out = left_out
        super().__init__(problems)

    def __str__(self) -> str:
        if not self.left_out:
            return super().__str__()
        mistakes = "mistake" if self.left_out == 1 else "mistakes"
        return f"{super().__str__()}\n{self.problems[-1].path}: and {self.left_out} more {mistakes}"


def read_lines(
    file: BinaryIO, path: str, *, too_long: Callable[[], None] | None = None
) -> Iterator[tuple[Lines, int]]:
    """Read the lines of a file in chunks; with each the bytes that it took.

    Args:
        file: what to read.
        path: how the user named it.
        too_long: called for each line that is too long to be an event, and is passed over.

    Raises:
        EventFileError: a line is too long, and there is nobody to be told.
    """
    number, rest, inside = 1, b"", False
    while chunk := file.read(_CHUNK):
        start = 0
        if inside:
            # Still in a line that is too long; its end is not kept, however far away it is.
            start = chunk.find(b"\n") + 1
            if not start:
                continue
            number, inside = number + 1, False
        texts = (rest + chunk[start:]).split(b"\n")
        rest = texts.pop()
        if len(rest) > _MAX_LINE:
            if too_long is None:
                message = f"expected lines of at most {_MAX_LINE} bytes"
                raise EventFileError([Problem(path, number + len(texts), 1, message)])
            too_long()
            rest, inside = b"", True
        yield Lines(number, texts), len(chunk)
        number += len(texts)
    if rest:
        yield Lines(number, [rest]), 0


def read_events(file: BinaryIO, path: str) -> list[Event]:
    """Read a file of JSON lines to its end.

    Raises:
        EventFileError: some lines are not events; the first of these, once all are looked at.
    """
    events: list[Event] = []
    problems: list[Problem] = []
    left_out = 0
    for lines, _ in read_lines(file, path):
        try:
            found = parse_json_lines(lines, path)
        except EventFileError as error:
            room = _MOST_PROBLEMS - len(problems)
            problems += error.problems[:room]
            left_out += error.left_out + len(error.problems[room:])
            events = []
        else:
            events += found if not problems else ()
    if problems:
        raise EventFileError(problems, left_out)
    return events


def parse_json_lines(lines: Lines, path: str) -> Sequence[Event]:
    """Turn lines of JSON into events.

    Raises:
        EventFileError: some are not events; all of these lines, up to a limit.
    """
    texts = [text for text in map(bytes.strip, lines.texts) if text]
    # Together they are read several times faster; one that is not a whole object is found out.
    if all(text[:1] == b"{" and text[-1:] == b"}" for text in texts):
        try:
            events = decode_lines(b"\n".join(texts))
        except (ValueError, RecursionError):
            pass
        else:
            if len(events) == len(texts):
                return events
    return _parse_singly(lines, path)


def _parse_singly(lines: Lines, path: str) -> list[IncidentEvent]:
    events: list[IncidentEvent] = []
    problems: list[Problem] = []
    for number, line in lines.numbered():
        try:
            events.append(IncidentEvent.model_validate_json(line))
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems += [_problem(path, number, line, detail) for detail in details]
    if problems:
        left_out = max(0, len(problems) - _MOST_PROBLEMS)
        raise EventFileError(problems[:_MOST_PROBLEMS], left_out)
    return events


def _problem(path: str, number: int, line: bytes, detail: object) -> Problem:
    message = _describe(detail)
    place = _PLACE.search(message)
    if place is None:
        return Problem(path, number, 1, message)
    if "recursion limit" in message:
        return Problem(path, number, 1, "expected one JSON object on the line: nested too deeply")
    # Of what is no object from the start, the place where the parser gave up says nothing.
    column = int(place[1]) if line.lstrip().startswith(b"{") else 1
    return Problem(path, number, column, message[: place.start()])


def _describe(detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101 - pydantic's own form
    place = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Invalid JSON: ")
    message = message[0].lower() + message[1:]
    if not place and detail["type"] != "json_invalid":
        return f"expected one JSON object on the line, found {shown(detail['input'])}"
    if detail["type"] == "missing":
        return f"missing field {place!r}"
    if detail["type"] == "extra_forbidden":
        return f"unknown field {place!r}{nearest(place, IncidentEvent.model_fields)}"
    if detail["type"] == "json_invalid":
        return f"expected one JSON object on the line: {message}"
    return f"{place}: {message}, found {shown(detail['input'])}"


def parse_log_lines(
    lines: Lines, pattern: LinePattern, path: str
) -> tuple[list[IncidentEvent], int]:
    """Turn lines of a log into events; gives them and the number of lines of another form."""
    events: list[IncidentEvent] = []
    unmatched = 0
    for number, line in lines.numbered():
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        found = pattern.parse(text, number=number, origin=path)
        events.extend(found)
        unmatched += not found
    return events, unmatched


def find_pattern(
    plugins: Plugins, name: str, *, year: int | None, timezone: tzinfo = UTC
) -> LinePattern:
    """Make the line pattern of a name, which some source offers.

    Raises:
        ConfigError: no installed source offers it.
    """
    patterns = {
        key: factory
        for source in plugins.all(SourcePlugin).values()
        for key, factory in source.patterns().items()
    }
    if name not in patterns:
        known = f"; known: {', '.join(sorted(patterns))}" if patterns else "; install tocsin-logs"
        hint = nearest(name, patterns) or known
        raise ConfigError.of(f"there is no pattern {name!r}{hint}", path="--source-pattern")
    return patterns[name](year=year, timezone=timezone)
