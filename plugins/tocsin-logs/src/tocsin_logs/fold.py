"""Keeps the files of a source together: finds new ones, and old ones wherever they were moved."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tocsin_logs.cursors import SAMPLE, Cursor, Place
from tocsin_logs.finding import Entry, Found, NotAFileError, find_again, find_copy, open_file
from tocsin_logs.instants import Calendar
from tocsin_logs.params import LogsParams, zone_of
from tocsin_logs.patterns import pattern_of
from tocsin_logs.tails import LineFormat, Tail, recognises

_MOST_GONE = 64
"""Files that were let go and are remembered, in case that they come back."""


class Fold:
    """The open files of a source."""

    def __init__(self, params: LogsParams, directory: Path, cursor: Cursor | None) -> None:
        self.tails: list[Tail] = []
        self.changed = True
        """Whether the cursor is another one since somebody asked for it."""
        self.now: datetime | None = None
        self._params = params
        self._entries = [Entry.of(text, directory) for text in params.files]
        self._format = LineFormat(params.encoding, params.max_line_bytes)
        cursor = cursor or Cursor()
        places = [place for place in cursor.places if place.entry in params.files]
        # Not found again yet, or unreadable.
        self._waiting = [place for place in places if not place.gone]
        self._gone = [place for place in places if place.gone]
        self._known_entries = frozenset(cursor.entries)
        self._next_order = cursor.next_order
        self._to_skip: set[str] = set()
        self._told: dict[str, str] = {}
        self._messages: list[str] = []

    def messages(self) -> tuple[str, ...]:
        """Take what the operator should know."""
        messages, self._messages = tuple(self._messages), []
        return messages

    def cursor(self) -> Cursor:
        """Tell where all files stand."""
        self.changed = False
        places = [*self._gone, *self._waiting, *(tail.place() for tail in self.tails)]
        return Cursor(
            tuple(self._params.files),
            tuple(sorted(places, key=lambda place: place.order)),
            self._next_order,
        )

    def close(self) -> None:
        """Let all files go."""
        while self.tails:
            self.tails.pop().close()

    def look(self, now: datetime) -> None:
        """Find out which files there are and which were moved."""
        self._resume_waiting(now)
        present = self._present_files()
        for tail in self.tails:
            found = tail.key in present
            if found and not tail.matched and present[tail.key][0] == tail.path:
                tail.rotated_at = None  # moved away and back
            if not found and tail.rotated_at is None:
                tail.rotated_at, self.changed = now, True
            tail.matched = found
        by_key = {tail.key: tail for tail in self.tails}
        # New files first: they find what they follow on by the path that it had.
        for key, (path, entry) in present.items():
            if key not in by_key and not self._may_be_waited_for(path, key):
                self._open(path, entry)
        for key, (path, _) in present.items():
            renamed = by_key.get(key)
            if renamed is not None and renamed.path != path:
                renamed.path, renamed.rotated_at, self.changed = path, now, True
        self._known_entries = frozenset(self._params.files)

    def begin_anew(self, tail: Tail, now: datetime) -> None:
        """Start again with a file that was truncated, after what a copy still holds of it."""
        self.changed = True
        if not tail.matched:
            self._forget(tail)
            return
        found = find_copy(tail.place(), [other.key for other in self.tails])
        if found is not None:
            self._follow_copy(found, tail, now)
        tail.begin_anew(self._take_order())

    def drop(self, tail: Tail) -> None:
        """Let a file go that nothing more is expected from."""
        self._remember(tail.place())
        self._forget(tail)

    def lose(self, tail: Tail, error: OSError) -> None:
        """Close a file that cannot be read, to try it again later."""
        self.changed = True
        # Not under its path alone: being opened again does not mean that it can be read.
        self._tell(f"{tail.path} open", f"cannot read {tail.path}: {error.strerror or error}")
        self._waiting.append(tail.place())
        self._forget(tail)

    def _remember(self, place: Place) -> None:
        self.changed = True
        self._gone.append(replace(place, gone=True, rotated=False))
        del self._gone[:-_MOST_GONE]

    def _forget(self, tail: Tail) -> None:
        self.tails.remove(tail)
        for other in self.tails:
            if other.predecessor is tail:
                other.predecessor = tail.predecessor
        tail.close()

    def _may_be_waited_for(self, path: str, key: tuple[int, int]) -> bool:
        """Say whether a file may be one that is partly read, but cannot be looked into now."""
        return any(
            place.path == path or (place.device, place.inode) == key for place in self._waiting
        )

    def _present_files(self) -> dict[tuple[int, int], tuple[str, Entry]]:
        """Give the files that the entries stand for now, each with one of its paths."""
        present: dict[tuple[int, int], tuple[str, Entry]] = {}
        for path, entry in self._paths():
            status = self._status(path, entry)
            if status is not None:
                present.setdefault((status.st_dev, status.st_ino), (path, entry))
        return present

    def _paths(self) -> Iterator[tuple[str, Entry]]:
        for entry in self._entries:
            for path in entry.paths():
                yield path, entry

    def _status(self, path: str, entry: Entry) -> os.stat_result | None:
        try:
            status = os.stat(path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            # While an old file is still open, a new one is about to come.
            if entry.named and not any(tail.path == path for tail in self.tails):
                self._tell(path, f"{path} does not exist: waiting for it")
            return None
        except OSError as error:
            self._cannot_read(path, error)
            return None
        if stat.S_ISREG(status.st_mode):
            return status
        if entry.named:
            self._cannot_read(path, NotAFileError(path))
        return None

    def _open(self, path: str, entry: Entry) -> None:
        most = self._params.max_files
        if sum(tail.matched for tail in self.tails) >= most:
            self._tell("", f"there are more than {most} files: the others are left out")
            return
        known = entry.text in self._known_entries and path not in self._to_skip
        to_skip = self._params.start == "end" and not known
        try:
            descriptor = open_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._postpone(path, error, to_skip=to_skip)
            return
        tail = self._follow(descriptor, path, os.path.basename(path), entry.text)  # noqa: PTH119
        if tail is None:
            return
        try:
            if to_skip:
                tail.skip_to_end()
            else:
                self._adopt(tail)
        except OSError as error:
            self._forget(tail)
            self._postpone(path, error, to_skip=to_skip)
        else:
            self._to_skip.discard(path)

    def _postpone(self, path: str, error: OSError, *, to_skip: bool) -> None:
        if to_skip:
            self._to_skip.add(path)
        self._cannot_read(path, error)

    def _adopt(self, tail: Tail) -> None:
        """Leave out what was read before under another name, or before the file went away."""
        name = os.path.basename(tail.path)  # noqa: PTH119
        folder = os.path.dirname(tail.path)  # noqa: PTH120
        others = [other.place() for other in self.tails if other is not tail]
        for place in (*others, *self._gone):
            old_folder, old_name = os.path.split(place.path)
            # Short files may well begin alike.
            if (
                place.offset >= SAMPLE
                and (old_folder, old_name) == (folder, name[: len(old_name)])
                and recognises(tail.descriptor, place)
            ):
                tail.name = place.name
                tail.resume(place.offset, place.generation, cut=place.cut)
                self._gone = [other for other in self._gone if other is not place]
                return

    def _follow(
        self, descriptor: int, path: str, name: str, entry: str, order: int | None = None
    ) -> Tail | None:
        """Follow an open file, as the successor of what was at its path before."""
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        if any(tail.key == key for tail in self.tails):
            os.close(descriptor)
            return None
        before = [tail for tail in self.tails if tail.path == path]
        predecessor = max(before, key=lambda tail: tail.order, default=None)
        if predecessor is not None:
            # It has to be read once more before anything of the new file is.
            predecessor.at_end = False
            calendar, pattern = predecessor.calendar, predecessor.pattern
        else:
            calendar = Calendar(
                timezone=zone_of(self._params.timezone), year=self._params.year, now=self._present
            )
            pattern = pattern_of(self._params.pattern, calendar)
        tail = Tail(
            descriptor=descriptor,
            path=path,
            name=name,
            entry=entry,
            device=key[0],
            inode=key[1],
            order=self._take_order() if order is None else order,
            format=self._format,
            calendar=calendar,
            pattern=pattern,
            predecessor=predecessor,
        )
        self.tails.append(tail)
        self._told.pop(path, None)
        self.changed = True
        return tail

    def _follow_copy(self, found: Found, original: Tail, now: datetime) -> None:
        """Read the rest of a file from its copy, before what the file now holds."""
        copy = self._follow(
            found.descriptor, found.path, original.name, original.entry, original.order
        )
        if copy is None:
            return
        copy.calendar, copy.pattern = original.calendar, original.pattern
        copy.predecessor, original.predecessor = original.predecessor, copy
        copy.matched, copy.rotated_at = False, now
        try:
            copy.resume(original.offset, original.generation, cut=original.cut)
        except OSError:
            self._forget(copy)

    def _resume_waiting(self, now: datetime) -> None:
        waiting, self._waiting = self._waiting, []
        for place in waiting:
            try:
                found = find_again(place)
                if found is not None:
                    self._resume(place, found, now)
                elif os.path.isdir(os.path.dirname(place.path)):  # noqa: PTH112, PTH120
                    self.changed = True
                    self._tell(
                        place.path,
                        f"{place.path} was replaced while it was not followed:"
                        f" what the old file held after byte {place.offset} is not found",
                    )
                elif any(entry.named and entry.path == place.path for entry in self._entries):
                    self._waiting.append(place)  # a disk that is not there yet
                else:
                    self._remember(place)  # folders that a glob finds may well be gone for good
            except OSError as error:
                self._cannot_read(place.path, error)
                self._waiting.append(place)

    def _resume(self, place: Place, found: Found, now: datetime) -> None:
        tail = self._follow(found.descriptor, place.path, place.name, place.entry, place.order)
        if tail is None:
            return
        tail.matched = not found.moved
        if found.moved or place.rotated:
            tail.rotated_at = now
        if place.reached is not None:
            tail.calendar.resume(place.reached)
        try:
            tail.resume(place.offset, place.generation, cut=place.cut)
        except OSError:
            self._forget(tail)
            raise

    def _present(self) -> datetime:
        if self.now is None:
            raise ValueError("no timestamp")
        return self.now

    def _take_order(self) -> int:
        self._next_order += 1
        return self._next_order - 1

    def _cannot_read(self, path: str, error: OSError) -> None:
        self._tell(path, f"cannot read {path}: {error.strerror or error}")

    def _tell(self, about: str, message: str) -> None:
        """Tell the operator once, and again only after it was over."""
        if self._told.get(about) != message:
            self._told[about] = message
            self._messages.append(message)
