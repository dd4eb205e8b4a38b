"""The parameters of the source `logs`."""

from __future__ import annotations

import codecs
import zoneinfo
from datetime import UTC, tzinfo
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from tocsin.capabilities import Params
from tocsin.durations import Seconds
from tocsin.errors import nearest
from tocsin_logs.patterns.expressions import Expression
from tocsin_logs.patterns.json_lines import ObjectLines
from tocsin_logs.patterns.ready import READY


def _ready(name: str) -> str:
    if name not in READY:
        raise ValueError(
            f"no pattern {name!r}; there are: {', '.join(READY)}{nearest(name, READY)}"
        )
    return name


def _kind(value: Any) -> str:
    if isinstance(value, Expression) or (isinstance(value, dict) and "regex" in value):
        return "regex"
    if isinstance(value, ObjectLines) or (isinstance(value, dict) and "fields" in value):
        return "fields"
    return "regex" if isinstance(value, dict) else "name"


def _encoding(name: str) -> str:
    try:
        codecs.lookup(name)
        newline = "\n".encode(name)
    except (LookupError, ValueError):
        raise ValueError(f"no text encoding {name!r}") from None
    if newline != b"\n":
        raise ValueError(f"lines cannot be told apart in {name}: its line end is more than a byte")
    return name


def _zone(name: str) -> str:
    zone_of(name)
    return name


def zone_of(name: str) -> tzinfo:
    """Find a time zone by its name.

    Raises:
        ValueError: there is none of this name on this machine.
    """
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"no time zone {name!r}; expected UTC or a name such as Europe/Berlin"
        ) from None


Described = Annotated[
    Annotated[str, AfterValidator(_ready), Tag("name")]
    | Annotated[Expression, Tag("regex")]
    | Annotated[ObjectLines, Tag("fields")],
    Discriminator(_kind),
]
"""A ready pattern's name, or a mapping with `regex` or `fields`."""


class LogsParams(Params):
    """Which files to follow and how to read their lines."""

    files: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    """Paths, or globs with `*`, `?`, `[...]` and `**` for any number of folders."""
    pattern: Described
    """How to read a line."""
    start: Literal["end", "beginning"] = "end"
    """Where to start in files that exist when an entry of `files` is used for the first time."""
    poll: Seconds = Field(default=0.5, ge=0.01)
    """The time between two looks at files that have nothing new."""
    rotated_wait: Seconds = 5.0
    """How long a file that was moved away has to be quiet before it is let go."""
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    """How the text is encoded; bytes that are no text become U+FFFD."""
    max_line_bytes: int = Field(default=65_536, ge=64, le=1_048_576)
    """Where longer lines are cut."""
    max_files: int = Field(default=256, ge=1, le=8192)
    """How many files are kept open at most; as many again may wait to be let go."""
    year: int | None = Field(default=None, ge=1970, le=9000)
    """The year of the first line, where timestamps have none; by default the latest possible."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of timestamps that name none."""
