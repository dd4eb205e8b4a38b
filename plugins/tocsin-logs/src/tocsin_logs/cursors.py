"""Where reading stopped, as it is kept between two runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

VERSION = 1
SAMPLE = 256
"""Bytes at the start of a file, and before the place reached, by which it is recognised."""
_FLAGS = ("cut", "rotated", "gone")


@dataclass(frozen=True, slots=True)
class Mark:
    """A few bytes of a file, remembered by length and hash."""

    length: int
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Mark:
        """Remember these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Place:
    """How far one file is read, and how to recognise the file."""

    path: str
    """Where the file was last found."""
    name: str
    """What the file was called when it was new: the source of its events."""
    entry: str
    """The entry of `files` that it was found by."""
    device: int
    inode: int
    offset: int
    """Everything before it is read."""
    head: Mark
    """The first bytes of the file."""
    tail: Mark
    """The last bytes before the offset."""
    order: int
    """Older files have smaller numbers."""
    generation: str
    """Tells this file from all others of its name, in the ids of its events."""
    cut: bool = False
    """Whether the offset is inside a line that was cut, the rest of which is to be skipped."""
    rotated: bool = False
    """Whether the file was moved away from where it was followed."""
    gone: bool = False
    """Whether the file was let go: it is known in case that it comes back."""
    reached: tuple[int, int] | None = None
    """Year and month of the latest line, where the settings give the year of the first."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything that a restart needs to know."""

    entries: tuple[str, ...] = ()
    """The entries of `files` that were in use: what a new one finds is not new itself."""
    places: tuple[Place, ...] = ()
    next_order: int = 0


def dump(cursor: Cursor) -> str:
    """Write a cursor as JSON."""
    # The standard library's JSON, since a path may hold bytes that are no text.
    return json.dumps(
        {
            "version": VERSION,
            "entries": cursor.entries,
            "next": cursor.next_order,
            "files": [_plain(place) for place in cursor.places],
        },
        separators=(",", ":"),
    )


def load(text: str | None) -> Cursor | None:
    """Read what `dump` wrote; None where there is nothing.

    Raises:
        ValueError: it is not what `dump` writes.
    """
    if text is None:
        return None
    try:
        found = json.loads(text)
        _same(found["version"], VERSION)
        return Cursor(
            tuple(str(entry) for entry in found["entries"]),
            tuple(_place(file) for file in found["files"]),
            _count(found["next"]),
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"not a cursor of this source: {error!r}") from None


def _plain(place: Place) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "path": place.path,
        "name": place.name,
        "entry": place.entry,
        "device": place.device,
        "inode": place.inode,
        "offset": place.offset,
        "head": [place.head.length, place.head.digest],
        "tail": [place.tail.length, place.tail.digest],
        "order": place.order,
        "generation": place.generation,
    }
    kept |= {name: True for name in _FLAGS if getattr(place, name)}
    if place.reached:
        kept["reached"] = list(place.reached)
    return kept


def _place(file: dict[str, Any]) -> Place:
    reached = file.get("reached")
    return Place(
        path=str(file["path"]),
        name=str(file["name"]),
        entry=str(file["entry"]),
        device=int(file["device"]),
        inode=int(file["inode"]),
        offset=_count(file["offset"]),
        head=_mark(file["head"]),
        tail=_mark(file["tail"]),
        order=_count(file["order"]),
        generation=str(file["generation"]),
        **{name: bool(file.get(name)) for name in _FLAGS},
        reached=(int(reached[0]), int(reached[1])) if reached else None,
    )


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise ValueError(f"expected {expected!r}, found {found!r}")


def _mark(pair: Sequence[Any]) -> Mark:
    return Mark(min(_count(pair[0]), SAMPLE), str(pair[1]))


def _count(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("a negative count")
    return number


__all__ = ["SAMPLE", "Cursor", "Mark", "Place", "dump", "load"]
