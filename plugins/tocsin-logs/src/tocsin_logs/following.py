"""Reads what is added to the files of a source, a batch at a time.

Everything here blocks and belongs in a worker thread; one step does a bounded amount of work.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tocsin.capabilities import SourceBatch
from tocsin.models import IncidentEvent
from tocsin_logs.cursors import Cursor, dump
from tocsin_logs.fold import Fold
from tocsin_logs.params import LogsParams
from tocsin_logs.tails import Portion, Tail

MOST_EVENTS = 500
"""Events in a batch."""
_MOST_READS = 8
"""Looks into files for one batch, so that a cursor comes even where no line is an event."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step gave."""

    batch: SourceBatch | None
    more: bool
    """Whether there is more to read at once."""
    messages: tuple[str, ...]
    """What the operator should know."""


@dataclass(slots=True)
class _Gathered:
    """What a batch is made from."""

    events: list[IncidentEvent] = field(default_factory=list)
    skipped: int = 0
    reads: int = 0
    full: bool = False
    more: bool = False

    @property
    def room(self) -> int:
        """How many events still fit."""
        return MOST_EVENTS - len(self.events)

    @property
    def complete(self) -> bool:
        """Whether the batch should be given now."""
        return self.full or self.room <= 0 or self.reads >= _MOST_READS

    def add(self, portion: Portion) -> None:
        """Take in what a look at a file gave."""
        self.reads += portion.advanced
        self.events.extend(portion.events)
        self.skipped += portion.skipped
        self.full = portion.full


class Following:
    """Follows the files of one source."""

    def __init__(self, params: LogsParams, directory: Path, cursor: Cursor | None) -> None:
        self._params = params
        self._fold = Fold(params, directory, cursor)
        self._turn = 0
        self._looked_at: datetime | None = None
        self._lock = threading.Lock()
        self._closing = False

    def step(self, now: datetime) -> Step:
        """Look for files where it is time to, and read up to one batch."""
        try:
            with self._lock:
                return self._step(now)
        finally:
            if self._closing:
                self.close()

    def close(self) -> None:
        """Let all files go: at once, or when the step that is running ends."""
        self._closing = True
        if self._lock.acquire(blocking=False):
            try:
                self._fold.close()
            finally:
                self._lock.release()

    def _step(self, now: datetime) -> Step:
        fold, looked = self._fold, self._looked_at
        fold.now = now
        # A clock that was set back must not stop the looking.
        if looked is None or not 0 <= (now - looked).total_seconds() < self._params.poll:
            fold.look(now)
            self._looked_at = now
        gathered = _Gathered()
        self._read_all(gathered, now)
        self._release(gathered, now)
        batch = None
        if gathered.events or gathered.skipped or fold.changed:
            batch = SourceBatch(gathered.events, dump(fold.cursor()), gathered.skipped)
        return Step(batch, gathered.more, fold.messages())

    def _read_all(self, gathered: _Gathered, now: datetime) -> None:
        ordered = sorted(self._fold.tails, key=lambda tail: tail.order)
        start, self._turn = self._turn, 0
        for number in range(len(ordered)):
            position = (start + number) % len(ordered)
            tail = ordered[position]
            if tail.blocked:
                gathered.more = True
                continue
            while self._read(tail, gathered, now):
                pass
            if gathered.complete:
                # So that a file which grows faster than it is read does not keep out the others.
                self._turn = (position + 1) % len(ordered)
                gathered.more = True
                return

    def _read(self, tail: Tail, gathered: _Gathered, now: datetime, *, last: bool = False) -> bool:
        """Look into a file once, and say whether to go on with it."""
        try:
            portion = tail.read(gathered.room, last=last)
        except OSError as error:
            self._fold.lose(tail, error)
            return False
        if portion.truncated:
            self._fold.begin_anew(tail, now)
            gathered.more = True
            return False
        gathered.add(portion)
        if portion.advanced:
            self._fold.changed = True
            if tail.rotated_at is not None:
                tail.rotated_at = now
        return not portion.at_end and not gathered.complete

    def _release(self, gathered: _Gathered, now: datetime) -> None:
        """Take leave of files that were moved away and have been quiet since."""
        rotated = [tail for tail in self._fold.tails if tail.rotated_at is not None]
        surplus = sum(not tail.matched for tail in rotated) - self._params.max_files
        for tail in sorted(rotated, key=lambda tail: tail.order):
            early = surplus > 0 and not tail.matched
            if not tail.at_end or not (early or self._quiet(tail, now)):
                continue
            if gathered.complete:
                gathered.more = True
                return
            self._read(tail, gathered, now, last=True)
            if gathered.full or not tail.at_end or tail.descriptor < 0:
                gathered.more = True
                continue
            surplus -= early
            self._fold.changed = True
            if tail.matched:
                tail.rotated_at = None
            else:
                self._fold.drop(tail)

    def _quiet(self, tail: Tail, now: datetime) -> bool:
        if tail.rotated_at is None:
            return False
        return not 0 <= (now - tail.rotated_at).total_seconds() < self._params.rotated_wait
