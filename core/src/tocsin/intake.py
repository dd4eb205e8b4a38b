"""Takes events in: many producers, one writer, and the producer hears when its event is durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tocsin.clock import Clock, to_micros
from tocsin.errors import EventError, StoreError, TocsinError
from tocsin.models import IncidentEvent
from tocsin.store.journal import BLOCK_EVENTS, NEVER, Appended, Block, Journal

_POLL_SECONDS = 0.5
"""How often the journal is looked at for what other processes appended."""


@dataclass(slots=True, eq=False)
class _Request:
    events: Sequence[IncidentEvent]
    done: asyncio.Future[int]
    """Gets the number of events that were new."""
    cursor_of: dict[str, str] = field(default_factory=dict)


class Intake:
    """The bounded queue in front of a journal."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        deliver: Callable[[Block], None],
        backlog: Callable[[], int],
        next_due: Callable[[], int | None],
        queue_size: int,
        idle_after: float,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            journal: where events are made durable.
            clock: tells when they were accepted.
            deliver: takes each durable block, in order.
            backlog: how many delivered events are not evaluated yet.
            next_due: the event time from which on time alone may change something.
            queue_size: events that may wait before producers have to.
            idle_after: seconds without an event after which time moves on by itself.
        """
        self.accepted = 0
        self.duplicates = 0
        self._journal = journal
        self._clock = clock
        self._deliver = deliver
        self._backlog = backlog
        self._next_due = next_due
        self._queue_size = queue_size
        self._idle_after = idle_after
        self._requests: deque[_Request] = deque()
        self._in_hand: list[_Request] = []
        """Those that are being committed."""
        self._waiting = 0
        self._room = asyncio.Condition()
        self._work = asyncio.Event()
        self._closed = False
        self._last: tuple[int, int] | None = None
        """The newest event time, and when it was accepted."""

    def start_at(self, max_time: int, accepted_at: int) -> None:
        """Take up the time where the journal left it."""
        self._last = (max_time, accepted_at)

    async def submit(
        self, events: Sequence[IncidentEvent], cursor_of: dict[str, str] | None = None
    ) -> int:
        """Wait until events are durable; gives how many of them were new.

        Raises:
            EventError: one of them is too large; none is stored.
            StoreError: they could not be stored, or the manager has stopped; none is stored.
        """
        async with self._room:
            await self._room.wait_for(lambda: self._closed or self._fits(len(events)))
            if self._closed:
                raise StoreError("the manager is not running; nothing was stored")
            self._waiting += len(events)
        request = _Request(events, asyncio.get_running_loop().create_future(), cursor_of or {})
        self._requests.append(request)
        self._work.set()
        return await request.done

    def _fits(self, count: int) -> bool:
        waiting = self._waiting + self._backlog()
        return waiting == 0 or waiting + count <= self._queue_size

    async def make_room(self) -> None:
        """Let producers look again: the backlog has become smaller."""
        async with self._room:
            self._room.notify_all()

    @property
    def waiting(self) -> int:
        """How many events wait to become durable."""
        return self._waiting

    async def settled(self) -> int:
        """Wait until all that was submitted before is durable; gives the journal's end."""
        pending = [request.done for request in (*self._in_hand, *self._requests)]
        if pending:
            await asyncio.wait(pending)
        return self._journal.position

    async def close(self) -> None:
        """Refuse what comes from now on; what was submitted before is still stored by `run`."""
        async with self._room:
            self._closed = True
            self._room.notify_all()
        self._work.set()

    async def run(self) -> None:
        """Commit what is submitted until closed and empty."""
        try:
            await self._run()
        finally:
            self._closed = True
            stopped = StoreError("the manager has stopped; nothing was stored")
            while self._requests:
                self._answer([self._requests.popleft()], stopped)

    async def _run(self) -> None:
        while self._requests or not self._closed:
            if not self._requests:
                self._work.clear()
                try:
                    async with asyncio.timeout(min(_POLL_SECONDS, self._idle_after)):
                        await self._work.wait()
                except TimeoutError:
                    await self._idle()
                continue
            await self._commit(self._take())

    def _take(self) -> list[_Request]:
        """Take the requests that are committed together."""
        taken = [self._requests.popleft()]
        count = len(taken[0].events)
        while self._requests and count + len(self._requests[0].events) <= BLOCK_EVENTS:
            taken.append(self._requests.popleft())
            count += len(taken[-1].events)
        self._in_hand = taken
        return taken

    async def _commit(self, requests: list[_Request]) -> None:
        try:
            await self._commit_together(requests)
        except EventError as error:
            if len(requests) > 1:
                for request in requests:
                    await self._commit([request])
                return
            self._answer(requests, error)
        except TocsinError as error:
            self._answer(requests, error)
        except BaseException as error:
            self._answer(requests, StoreError(f"nothing was stored: {error!r}"))
            raise
        finally:
            self._in_hand = [request for request in self._in_hand if request not in requests]
        await self.make_room()

    async def _commit_together(self, requests: list[_Request]) -> None:
        events = [event for request in requests for event in request.events]
        cursor_of: dict[str, str] = {}
        for request in requests:
            cursor_of |= request.cursor_of
        now = to_micros(self._clock.now())
        result = await self._journal.append(events, accepted_at=now, cursor_of=cursor_of)
        self._take_in(result)
        self.duplicates += result.duplicates
        self._answer(requests, None, new=self._new_of(requests, result))

    def _new_of(self, requests: list[_Request], result: Appended) -> dict[int, int]:
        """Count the new events of each request, where not all were new."""
        if not result.duplicates:
            return {}
        kept = {event.event_id for block in result.blocks for event in block.events}
        counts: dict[int, int] = {}
        for index, request in enumerate(requests):
            mine = {event.event_id for event in request.events} & kept
            counts[index] = len(mine)
            kept -= mine
        return counts

    def _take_in(self, result: Appended) -> None:
        for block in (*result.missed, *result.blocks):
            self._hand_over(block)

    def _hand_over(self, block: Block) -> None:
        self.accepted += len(block.events)
        if block.max_time != NEVER:
            self._last = (block.max_time, block.accepted_at)
        self._deliver(block)

    def _answer(
        self,
        requests: list[_Request],
        error: TocsinError | None,
        *,
        new: dict[int, int] | None = None,
    ) -> None:
        for index, request in enumerate(requests):
            self._waiting -= len(request.events)
            if request.done.done():
                continue
            if error is None:
                request.done.set_result((new or {}).get(index, len(request.events)))
            else:
                request.done.set_exception(error)

    async def _idle(self) -> None:
        """Look for what others appended, and let time move on where something is due."""
        try:
            while self._backlog() < self._queue_size and (found := await self._journal.poll()):
                for block in found:
                    self._hand_over(block)
            await self._let_time_pass()
        except StoreError:
            # The next attempt to write reports it to whoever submits.
            await self._clock.sleep(_POLL_SECONDS)

    async def _let_time_pass(self) -> None:
        due = self._next_due()
        if due is None or self._last is None or self._backlog():
            return
        max_time, accepted_at = self._last
        now = to_micros(self._clock.now())
        reached = max_time + now - accepted_at
        if now - accepted_at >= self._idle_after * 1_000_000 and reached > due:
            result = await self._journal.append([], accepted_at=now, advance_to=reached)
            self._take_in(result)
