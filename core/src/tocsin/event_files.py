"""Reads recorded events: JSON lines, or the lines of a log through a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Lines of a file that are not events; the first of them."""


def read_lines(file: BinaryIO, path: str) -> Iterator[tuple[Lines, int]]:
    """Read the lines of a file in chunks; with each the bytes that it took.

    Raises:
        EventFileError: a line is too long to be an event.
    """
    number, rest = 1, b""
    while chunk := file.read(_CHUNK):
        texts = (rest + chunk).split(b"\n")
        rest = texts.pop()
        if len(rest) > _MAX_LINE:
            message = f"expected lines of at most {_MAX_LINE} bytes"
            raise EventFileError([Problem(path, number + len(texts), 1, message)])
        yield Lines(number, texts), len(chunk)
        number += len(texts)
    if rest:
        yield Lines(number, [rest]), 0


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
            problems += [
                Problem(path, number, 1, _describe(detail))
                for detail in error.errors(include_url=False)
            ]
    if problems:
        raise EventFileError(problems[:_MOST_PROBLEMS])
    return events


def _describe(detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101 - pydantic's own form
    place = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"])
    message = message[0].lower() + message[1:]
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
