"""One open file and how far it is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.capabilities import LinePattern
from tocsin.models import IncidentEvent
from tocsin_logs.cursors import SAMPLE, Mark, Place
from tocsin_logs.instants import Calendar

CHUNK = 256 * 1024
"""Bytes that are read at once, at least: a cut line has to fit."""


@dataclass(frozen=True, slots=True)
class LineFormat:
    """How bytes become events."""

    encoding: str
    max_line_bytes: int

    @property
    def window(self) -> int:
        """Bytes to read at once, so that a line is either whole or too long."""
        return max(CHUNK, self.max_line_bytes + 1)


@dataclass(slots=True)
class Portion:
    """What one look at a file gave."""

    events: list[IncidentEvent] = field(default_factory=list)
    skipped: int = 0
    """Lines that are no events, and lines that were cut."""
    advanced: bool = False
    """Whether the offset moved."""
    at_end: bool = False
    """Whether there was nothing more to read."""
    full: bool = False
    """Whether there is more than was asked for."""
    truncated: bool = False
    """Whether what was read before is no longer there: the file begins anew."""


@dataclass(slots=True, eq=False)
class Tail:
    """A file that is followed.

    It holds no lines back: a line that is not yet complete is read again at the next look. So
    memory is bounded, and the place that a cursor needs is known after every line.
    """

    descriptor: int
    path: str
    name: str
    entry: str
    device: int
    inode: int
    order: int
    format: LineFormat
    calendar: Calendar
    pattern: LinePattern
    offset: int = 0
    cut: bool = False
    head: bytes = b""
    tail: bytes = b""
    generation: str = ""
    predecessor: Tail | None = None
    """What has to be read first, since it is what this file was before."""
    matched: bool = True
    """Whether it is now where an entry of `files` finds it."""
    rotated_at: datetime | None = None
    """When it was moved away, or last gave something since."""
    at_end: bool = False

    @property
    def blocked(self) -> bool:
        """Whether there is still something to read in what this file was before."""
        before = self.predecessor
        return before is not None and before.descriptor >= 0 and not before.at_end

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all other files that exist."""
        return self.device, self.inode

    def place(self) -> Place:
        """Tell where it stands, for a cursor."""
        return Place(
            path=self.path,
            name=self.name,
            entry=self.entry,
            device=self.device,
            inode=self.inode,
            offset=self.offset,
            head=Mark.of(self.head),
            tail=Mark.of(self.tail),
            order=self.order,
            generation=self.generation,
            cut=self.cut,
            rotated=self.rotated_at is not None,
            reached=self.calendar.reached,
        )

    def skip_to_end(self) -> None:
        """Leave out everything that is there now, up to the end of a line that is being written."""
        size = os.fstat(self.descriptor).st_size
        self.resume(size, "")
        self.cut = not self.tail.endswith(b"\n") and size > 0

    def resume(self, offset: int, generation: str, *, cut: bool = False) -> None:
        """Go on at a place of the file."""
        self.offset, self.generation, self.cut = offset, generation, cut
        self.head = os.pread(self.descriptor, min(SAMPLE, offset), 0)
        length = min(SAMPLE, offset)
        self.tail = os.pread(self.descriptor, length, offset - length)

    def begin_anew(self, order: int) -> None:
        """Start again at the beginning of what is now in the file."""
        self.order, self.offset, self.cut, self.generation = order, 0, False, ""
        self.head = self.tail = b""
        self.at_end = False

    def close(self) -> None:
        """Let the file go."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def read(self, limit: int, *, last: bool = False) -> Portion:
        """Read the next lines.

        Args:
            limit: how many events to give at most.
            last: whether nothing will be added, so that the last line is complete as it is.

        Raises:
            OSError: the file cannot be read.
        """
        wanted = len(self.tail) + self.format.window
        data = os.pread(self.descriptor, wanted, self.offset - len(self.tail))
        if not data.startswith(self.tail):
            return Portion(truncated=True)
        portion = Portion(at_end=len(data) < wanted)
        fresh = data[len(self.tail) :]
        used = self._lines(fresh, portion, limit, last=last and portion.at_end)
        if portion.full:
            portion.at_end = False
        self._advance(fresh[:used])
        portion.advanced = used > 0
        self.at_end = portion.at_end
        return portion

    def _lines(self, fresh: bytes, portion: Portion, limit: int, *, last: bool) -> int:
        """Read the complete lines of a window, and say how many bytes they are."""
        start, longest = 0, self.format.max_line_bytes
        if self.cut:
            end = fresh.find(b"\n")
            if end < 0:
                return len(fresh)
            self.cut, start = False, end + 1
        while (end := fresh.find(b"\n", start)) >= 0:
            if not self._line(fresh[start:end], start, portion, limit):
                return start
            start = end + 1
        rest = fresh[start:]
        if not rest:
            return start
        too_long = len(rest) > longest
        if (too_long or last) and self._line(rest, start, portion, limit):
            self.cut = too_long and not last
            return len(fresh)
        return start

    def _line(self, line: bytes, start: int, portion: Portion, limit: int) -> bool:
        """Read one line, unless its events would be too many."""
        longest = self.format.max_line_bytes
        text = line[:longest].decode(self.format.encoding, "replace").removesuffix("\r")
        if not self.generation:
            self.generation = self._named_by(line)
        events = self._events(text, self.offset + start)
        if len(portion.events) + len(events) > limit:
            portion.full = True
            return False
        portion.events.extend(events)
        if len(line) > longest or (not events and not text.isspace() and text):
            portion.skipped += 1
        return True

    def _events(self, text: str, number: int) -> Sequence[IncidentEvent]:
        return self.pattern.parse(text, number=number, origin=f"{self.generation}/{self.name}")

    def _named_by(self, first: bytes) -> str:
        # A number that never comes again keeps files apart that have the same inode, one after the
        # other, and the same first line.
        known = f"{self.device}:{self.inode}:{self.order}:".encode()
        return hashlib.sha256(known + first[:SAMPLE]).hexdigest()[:16]

    def _advance(self, read: bytes) -> None:
        if len(self.head) == self.offset:
            self.head = (self.head + read[:SAMPLE])[:SAMPLE]
        self.tail = (self.tail + read[-SAMPLE:])[-SAMPLE:]
        self.offset += len(read)


def recognises(descriptor: int, place: Place) -> bool:
    """Say whether an open file is the one of a place, or holds the same up to it."""
    head = os.pread(descriptor, place.head.length, 0)
    start = place.offset - place.tail.length
    tail = os.pread(descriptor, place.tail.length, start) if start >= 0 else b""
    return Mark.of(head) == place.head and Mark.of(tail) == place.tail
