"""Finds files: by the entries of the settings, and again after they were moved."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tocsin_logs.cursors import Place
from tocsin_logs.tails import recognises

# What log rotation makes of old files. Their lines were read before, and they are no text.
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `files`."""

    text: str
    """As the settings have it."""
    path: str
    """With the folder that it starts from."""

    @classmethod
    def of(cls, text: str, directory: Path) -> Entry:
        """Complete an entry of the settings."""
        # The folder is no glob, whatever characters it has.
        start = glob.escape(str(directory)) if glob.has_magic(text) else str(directory)
        return cls(text, os.path.join(start, os.path.expanduser(text)))  # noqa: PTH111, PTH118

    @property
    def named(self) -> bool:
        """Whether it names one file, instead of describing many."""
        return not glob.has_magic(self.text)

    def paths(self) -> Iterable[str]:
        """Give the paths that it stands for now; a named one whether or not it exists."""
        if self.named:
            return [self.path]
        found = glob.iglob(self.path, recursive=True)  # noqa: PTH207 - Path drops such as `a/../b`
        return sorted(path for path in found if not path.endswith(_COMPRESSED))


class NotAFileError(OSError):
    """A path leads to something that has no lines, such as a folder or a device."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "not a file", path)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found again, open."""

    descriptor: int
    path: str
    moved: bool
    """Whether it is no longer where it was."""


def open_file(path: str) -> int:
    """Open a file for reading.

    Raises:
        OSError: it cannot be opened.
        NotAFileError: it is none.
    """
    # Opening a pipe waits for a writer, opening a device may do anything: look before.
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise NotAFileError(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(path)
    return descriptor


def find_again(place: Place) -> Found | None:
    """Find the file of a place, wherever rotation has put it, or None where it is gone.

    Raises:
        OSError: something is there that may be it and cannot be read now.
    """
    same = None
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, NotAFileError):
        same = _open_same(place.path, place)
    if same is not None and os.fstat(same).st_ino == place.inode:
        return Found(same, place.path, moved=False)
    found = _first(place, _with_its_inode(place))
    if found is None and place.offset:
        # Restored from elsewhere, or copied and then truncated: known by what it holds.
        if same is not None:
            return Found(same, place.path, moved=False)
        found = find_copy(place)
    if same is not None:
        os.close(same)
    return found


def find_copy(place: Place, known: Sequence[tuple[int, int]] = ()) -> Found | None:
    """Find a copy of a file that was truncated, under a name that begins with its name.

    Args:
        place: how far the original was read before.
        known: device and inode of files that are not wanted.
    """
    name = os.path.basename(place.path)  # noqa: PTH119
    candidates = (
        entry.path
        for entry in _siblings(place.path)
        if entry.name.startswith(name) and entry.name != name
    )
    found = _first(place, candidates)
    if found is not None:
        status = os.fstat(found.descriptor)
        if (status.st_dev, status.st_ino) in known:
            os.close(found.descriptor)
            return None
    return found


def _with_its_inode(place: Place) -> Iterator[str]:
    for entry in _siblings(place.path):
        if entry.inode() == place.inode and entry.path != place.path:
            yield entry.path


def _first(place: Place, candidates: Iterable[str]) -> Found | None:
    for path in candidates:
        with contextlib.suppress(OSError):
            descriptor = _open_same(path, place)
            if descriptor is not None:
                return Found(descriptor, path, moved=True)
    return None


def _open_same(path: str, place: Place) -> int | None:
    """Open a file if it holds what the file of a place held."""
    descriptor = open_file(path)
    try:
        if recognises(descriptor, place):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _siblings(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.dirname(path) or ".") as entries:  # noqa: PTH120
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
