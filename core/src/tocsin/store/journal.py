"""The journal: accepted events, durable before the producer hears so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa

from tocsin.clock import from_micros, to_micros
from tocsin.deduplication import RecentIds
from tocsin.errors import EventError
from tocsin.models import IncidentEvent
from tocsin.models.events import storable
from tocsin.models.wire import Event, decode_ids, decode_list
from tocsin.store.database import Database
from tocsin.store.tables import cursors, journal, streams

# Made once: to build a statement takes longer than to run it.
_INSERT = sa.insert(journal)
_CLAIM = sa.text(
    "UPDATE streams SET position = position + 1, events = events + :events,"
    " max_time = CASE WHEN max_time < :newest THEN :newest ELSE max_time END"
    " WHERE stream = :stream RETURNING position, max_time"
).bindparams(sa.bindparam("newest", type_=sa.BigInteger))
BLOCK_EVENTS = 2000
"""Events of a block at most, so that it is written and read back in a bounded time."""
_BLOCKS = 10
"""Blocks read back together."""
NEVER = -(2**62)
"""The time of a journal without events."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a repeated event_id is known; whichever of the two is less."""

    ids: int = 200_000
    within: int = 600_000_000
    """In microseconds."""


@dataclass(frozen=True, slots=True)
class Block:
    """Events that were committed together; with no events: time moved on to `max_time`."""

    position: int
    accepted_at: int
    max_time: int
    """The newest event time of the journal up to here."""
    events: tuple[Event, ...]


@dataclass(slots=True)
class Appended:
    """What became of a batch."""

    blocks: tuple[Block, ...]
    """None where nothing was new; more than one where there was too much for one."""
    duplicates: int
    missed: list[Block] = field(default_factory=list)
    """What others appended before it, and this journal had not seen."""


def encode(events: Sequence[IncidentEvent]) -> tuple[list[IncidentEvent], bytes]:
    """Turn events into a block's body; those that JSON cannot hold come back changed."""
    kept = list(events)
    try:
        return kept, orjson.dumps([event.__dict__ for event in kept])
    except TypeError:
        kept = [_storable(event) for event in kept]
        return kept, orjson.dumps([event.__dict__ for event in kept])


def _storable(event: IncidentEvent) -> IncidentEvent:
    try:
        orjson.dumps(event.__dict__)
    except TypeError:
        return storable(event)
    return event


def decode(body: bytes) -> tuple[Event, ...]:
    """Turn a block's body back into its events."""
    return tuple(decode_list(body))


def check_sizes(events: Sequence[IncidentEvent], most: int) -> None:
    """Look whether a journal takes events.

    Raises:
        EventError: one has more bytes than it may.
    """
    if len(encode(events)[1]) > most:
        for event in events:
            _check_size(event, most)


def _check_size(event: IncidentEvent, most: int) -> None:
    _, body = encode([event])
    if len(body) > most:
        raise EventError(
            f"event {event.event_id!r} has {len(body)} bytes, at most {most} are accepted"
            " (incident_response.detection.max_event_bytes)",
            event_id=event.event_id,
        )


class Journal:
    """One stream of a database."""

    def __init__(
        self,
        database: Database,
        stream: str,
        *,
        horizon: Horizon,
        max_ahead: int,
        max_event_bytes: int,
    ) -> None:
        """Name a stream; `open` before use.

        Args:
            database: where the stream is.
            stream: its name.
            horizon: how long a repeated event_id is known.
            max_ahead: microseconds; an event further in the future is not believed.
            max_event_bytes: a larger event is refused.
        """
        self._database = database
        self._stream = stream
        self.horizon = horizon
        self._max_ahead = max_ahead
        self._max_event_bytes = max_event_bytes
        self._known = RecentIds(horizon.ids, horizon.within)
        self.position = 0
        """The last block of this journal that is known here."""

    async def open(self) -> None:
        """Find the end of the stream and the ids that are still within the horizon."""

        def work(connection: sa.Connection) -> int:
            connection.execute(
                sa.text(
                    "INSERT INTO streams (stream, position, max_time) VALUES (:stream, 0, :never)"
                    " ON CONFLICT (stream) DO NOTHING"
                ),
                {"stream": self._stream, "never": NEVER},
            )
            return int(connection.scalar(self._end()) or 0)

        self.position = await self._database.write(work)
        await self._remember_recent()

    def _end(self) -> sa.Select[tuple[int]]:
        return sa.select(streams.c.position).where(streams.c.stream == self._stream)

    async def _remember_recent(self) -> None:
        """Read back from the end until the horizon is full."""
        recent: list[tuple[int, list[str]]] = []
        ids, before = 0, self.position + 1
        oldest: int | None = None
        while ids < self.horizon.ids:
            async with self._database.read() as connection:
                query = (
                    sa.select(journal.c.position, journal.c.accepted_at, journal.c.body)
                    .where(journal.c.stream == self._stream, journal.c.position < before)
                    .order_by(journal.c.position.desc())
                )
                found = (await connection.execute(query.limit(_BLOCKS))).all()
            for row in found:
                oldest = oldest if oldest is not None else row.accepted_at - self.horizon.within
                recent.append((row.accepted_at, decode_ids(row.body)))
                ids += len(recent[-1][1])
                await asyncio.sleep(0)
            if len(found) < _BLOCKS or found[-1].accepted_at < (oldest or 0):
                break
            before = found[-1].position
        for accepted_at, known in reversed(recent):
            self._known.add(known, accepted_at)

    def _remember(self, block: Block) -> None:
        self._known.add([event.event_id for event in block.events], block.accepted_at)

    def part_ahead(self, block: Block) -> tuple[Sequence[Event], Sequence[Event]]:
        """Part a block into the events to judge, and those too far in the future to be believed."""
        limit = from_micros(block.accepted_at + self._max_ahead)
        ahead = [event for event in block.events if event.timestamp > limit]
        if not ahead:
            return block.events, ()
        return [event for event in block.events if event.timestamp <= limit], ahead

    async def append(
        self,
        events: Sequence[IncidentEvent],
        *,
        accepted_at: int,
        cursor_of: dict[str, str] | None = None,
        advance_to: int | None = None,
    ) -> Appended:
        """Make events durable; those whose id is known are left out.

        Args:
            events: in the order in which they came.
            accepted_at: the instant, in microseconds.
            cursor_of: where sources go on, stored in the same transaction.
            advance_to: an instant that time has reached without an event.

        Raises:
            EventError: an event is too large; nothing was stored.
            StoreError: nothing was stored.
        """
        self._known.trim(accepted_at)
        fresh = self._known.fresh(events)
        if not fresh and not cursor_of and advance_to is None:
            return Appended((), len(events))
        parts = await self._encoded(fresh)
        if advance_to is not None:
            parts = parts or [([], b"[]")]

        def work(connection: sa.Connection) -> Appended:
            self._store_cursors(connection, cursor_of or {})
            blocks: list[Block] = []
            missed: list[Block] = []
            known: set[str] = set()
            for kept, body in parts:
                newest = self._newest(kept, accepted_at, advance_to)
                position, max_time = self._claim(connection, newest, len(kept))
                if not blocks:  # from now on the stream is held
                    missed = self._between(connection, position)
                    known.update(event.event_id for block in missed for event in block.events)
                new, content = kept, body
                if known:
                    new = [event for event in kept if event.event_id not in known]
                    content = encode(new)[1]
                    self._count_less(connection, len(kept) - len(new))
                row = {
                    "stream": self._stream,
                    "position": position,
                    "accepted_at": accepted_at,
                    "count": len(new),
                    "max_time": max_time,
                    "body": content,
                }
                connection.execute(_INSERT, row)
                blocks.append(Block(position, accepted_at, max_time, tuple(new)))
            stored = sum(len(block.events) for block in blocks)
            return Appended(tuple(blocks), len(events) - stored, missed)

        appended = await self._database.write(work)
        for block in (*appended.missed, *appended.blocks):
            self.position = block.position
            self._remember(block)
        return appended

    async def _encoded(
        self, events: Sequence[IncidentEvent]
    ) -> list[tuple[list[IncidentEvent], bytes]]:
        """Part events into the bodies of blocks, leaving the loop free between them."""
        parts: list[tuple[list[IncidentEvent], bytes]] = []
        for start in range(0, len(events), BLOCK_EVENTS):
            if start:
                await asyncio.sleep(0)
            kept, body = encode(events[start : start + BLOCK_EVENTS])
            if len(body) > self._max_event_bytes:
                for event in kept:
                    _check_size(event, self._max_event_bytes)
            parts.append((kept, body))
        return parts

    def _newest(
        self, events: Sequence[IncidentEvent], accepted_at: int, advance_to: int | None
    ) -> int:
        newest = to_micros(max(event.timestamp for event in events)) if events else NEVER
        limit = accepted_at + self._max_ahead
        if newest > limit:
            times = (to_micros(event.timestamp) for event in events)
            newest = max((at for at in times if at <= limit), default=NEVER)
        return newest if advance_to is None else max(newest, advance_to)

    def _claim(self, connection: sa.Connection, newest: int, events: int) -> tuple[int, int]:
        """Take the next position; whoever has it holds the stream until the commit."""
        values = {"stream": self._stream, "newest": newest, "events": events}
        row = connection.execute(_CLAIM, values).one()
        return int(row.position), int(row.max_time)

    def _count_less(self, connection: sa.Connection, events: int) -> None:
        """Take back from the count what others had appended already."""
        fewer = streams.c.events - events
        mine = streams.c.stream == self._stream
        connection.execute(sa.update(streams).where(mine).values(events=fewer))

    def _between(self, connection: sa.Connection, before: int) -> list[Block]:
        """Read what others appended since this journal last looked."""
        if before == self.position + 1:
            return []
        rows = connection.execute(
            sa.select(journal)
            .where(
                journal.c.stream == self._stream,
                journal.c.position > self.position,
                journal.c.position < before,
            )
            .order_by(journal.c.position)
        )
        return [_block(row) for row in rows]

    def _store_cursors(self, connection: sa.Connection, cursor_of: dict[str, str]) -> None:
        for source, cursor in cursor_of.items():
            connection.execute(
                sa.text(
                    "INSERT INTO cursors (stream, source, cursor)"
                    " VALUES (:stream, :source, :cursor)"
                    " ON CONFLICT (stream, source) DO UPDATE SET cursor = excluded.cursor"
                ),
                {"stream": self._stream, "source": source, "cursor": json.dumps(cursor)},
            )

    async def poll(self) -> list[Block]:
        """Read what other processes appended since this journal last looked."""
        if await self._ends_at() == self.position:
            return []
        found = await self.read(self.position)
        for block in found:
            self._remember(block)
            self.position = block.position
        return found

    async def _ends_at(self) -> int:
        async with self._database.read() as connection:
            return int(await connection.scalar(self._end()) or 0)

    async def cursor(self, source: str) -> str | None:
        """Give where a source goes on."""
        query = sa.select(cursors.c.cursor).where(
            cursors.c.stream == self._stream, cursors.c.source == source
        )
        async with self._database.read() as connection:
            found = await connection.scalar(query)
        return str(json.loads(found)) if found is not None else None

    async def read(self, after: int, *, limit: int = _BLOCKS) -> list[Block]:
        """Read blocks behind a position, in order; so many at most."""
        query = (
            sa.select(journal)
            .where(journal.c.stream == self._stream, journal.c.position > after)
            .order_by(journal.c.position)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        blocks: list[Block] = []
        for row in rows:
            blocks.append(_block(row))
            await asyncio.sleep(0)
        return blocks

    async def start_of(self, instant: int) -> tuple[int, int]:
        """Find where to read so as to see everything that came at or after an instant.

        Returns:
            The position behind which to read, and the newest event time before it.
        """
        mine = journal.c.stream == self._stream
        async with self._database.read() as connection:
            first = await connection.scalar(
                sa.select(sa.func.min(journal.c.position)).where(
                    mine, journal.c.max_time >= instant
                )
            )
            if first is None:
                return int(await connection.scalar(self._end()) or 0), NEVER
            before = await connection.scalar(
                sa.select(sa.func.max(journal.c.max_time)).where(mine, journal.c.position < first)
            )
        return int(first) - 1, int(before) if before is not None else NEVER

    async def let_go(self, *, before: int, accepted_before: int, evaluated: int) -> int:
        """Delete blocks that nothing needs any more.

        Args:
            before: blocks whose newest event time is older than this,
            accepted_before: and that were accepted before this instant,
            evaluated: and that lie before this position; the block there says where time stands.
        """
        query = sa.delete(journal).where(
            journal.c.stream == self._stream,
            journal.c.max_time < before,
            journal.c.accepted_at < accepted_before,
            journal.c.position < evaluated,
        )
        return await self._database.write(lambda connection: connection.execute(query).rowcount)


def _block(row: sa.Row[tuple[object, ...]]) -> Block:
    return Block(row.position, row.accepted_at, row.max_time, decode(row.body))
