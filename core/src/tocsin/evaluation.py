"""Evaluates what the journal holds: rules, incidents, and the checkpoint that ties them up."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tocsin.clock import SECOND, Clock, from_micros, to_micros
from tocsin.correlation import Change, Correlation, OpenIncident
from tocsin.errors import MatcherError, StoreError
from tocsin.models import Detection, Event, Incident, IncidentEvent, Quarantined, Signal
from tocsin.models.wire import as_model
from tocsin.rules.engine import Engine, Hits, resolve
from tocsin.rules.matcher import Matcher
from tocsin.store.journal import NEVER, Block, Journal
from tocsin.store.results import Checkpoint, IncidentWrite, Outcome, Results

_log = logging.getLogger(__name__)
Done = TypeVar("Done")
_SLICE = 100
"""Events evaluated before the host's loop has its turn."""
_TOGETHER = 4000
"""Events whose results are stored together at most."""
_BLOCKS = 10
"""Blocks read back together: what bounds the memory that recovery takes."""
_CHECKPOINT_SECONDS = 1.0
_RETRY_SECONDS = 0.2
_LONGEST_RETRY = 30.0


class Evaluation:
    """The evaluator of one stream."""

    def __init__(
        self,
        *,
        engine: Engine,
        matcher: Matcher,
        correlation: Correlation,
        journal: Journal,
        results: Results,
        clock: Clock,
        evidence_events: int,
        statistics: Callable[[], dict[str, Any]],
        note: Callable[[Sequence[Change]], None],
        tell: Callable[[Sequence[Change], Sequence[Signal]], Awaitable[None]],
    ) -> None:
        """Prepare; `recover` and then `run` do the work.

        Args:
            engine: the rules.
            matcher: judges for the engine.
            correlation: the active incidents.
            journal: where blocks are read back from.
            results: where outcomes are stored.
            clock: tells when.
            evidence_events: matching events kept at hand for incidents to show.
            statistics: what is stored with each checkpoint for others to see.
            note: called after each commit, before anybody hears of it.
            tell: called then, to tell plugins and people.
        """
        self.position = 0
        """The last block that was evaluated and stored."""
        self.backlog = 0
        """Events that were delivered and are not evaluated yet."""
        self.problem = ""
        """Why evaluation does not get on, while it does not."""
        self.on_progress: Callable[[], Awaitable[None]] | None = None
        """Called when the backlog has become smaller."""
        self.incidents = asyncio.Lock()
        """Held while incidents are changed."""
        self._engine = engine
        self._matcher = matcher
        self._correlation = correlation
        self._journal = journal
        self._results = results
        self._clock = clock
        self._statistics = statistics
        self._note = note
        self._tell = tell
        self._rule_hashes = {rule.id: rule.content_hash() for rule in engine.rules}
        self._blocks: deque[Block] = deque()
        self._work = asyncio.Event()
        self._progress = asyncio.Condition()
        self._closed = False
        self._recent: OrderedDict[str, IncidentEvent] = OrderedDict()
        self._most_recent = evidence_events
        self._dirty = False
        """Whether something was evaluated since the last checkpoint."""
        self._checkpointed_at = 0

    # -- start --------------------------------------------------------------------------------

    async def recover(self) -> dict[str, Any]:
        """Rebuild the windows as they were at the checkpoint, and queue what lies behind it.

        Returns:
            The statistics that were stored with the checkpoint.
        """
        await self._matcher.start()
        checkpoint = await self._results.checkpoint()
        if checkpoint is not None:
            self.position = checkpoint.position
            if checkpoint.now is not None:
                await self._replay(checkpoint.position, checkpoint.now)
        after = self.position
        while blocks := await self._journal.read(after, limit=_BLOCKS):
            for block in blocks:
                self.deliver(block)
            after = blocks[-1].position
            await self.catch_up()
        return checkpoint.statistics if checkpoint is not None else {}

    async def _replay(self, position: int, now: int) -> None:
        """Put the events of the recent past through the windows without any rule firing."""
        after, before = await self._journal.start_of(now - self._engine.reach)
        if before != NEVER:
            self._engine.advance(before, mute=True)
        while after < position:
            blocks = await self._journal.read(after, limit=min(_BLOCKS, position - after))
            for block in blocks:
                await self._evaluate(block, mute=True)
                after = block.position
            if not blocks:
                break
        self._engine.restore(now, await self._results.firings(self._rule_hashes))
        self._engine.load_detectors(await self._results.detectors())
        self._engine.take_changes()

    # -- work ---------------------------------------------------------------------------------

    def deliver(self, block: Block) -> None:
        """Queue a durable block, in the order of positions."""
        self._blocks.append(block)
        self.backlog += len(block.events)
        self._work.set()

    async def close(self) -> None:
        """Let `run` end once everything delivered is evaluated and stored."""
        self._closed = True
        self._work.set()

    async def reached(self, position: int) -> None:
        """Wait until a block is evaluated and its results are stored."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.position >= position)

    async def run(self) -> None:
        """Evaluate what is delivered until closed and done."""
        while True:
            if self._blocks:
                await self.catch_up()
            elif self._closed:
                break
            else:
                self._work.clear()
                try:
                    async with asyncio.timeout(_CHECKPOINT_SECONDS if self._dirty else None):
                        await self._work.wait()
                except TimeoutError:
                    await self._checkpoint_only()
        await self._checkpoint_only()

    async def catch_up(self) -> None:
        """Evaluate everything that is queued."""
        while self._blocks:
            async with self.incidents:
                await self._evaluate_some()
            await asyncio.sleep(0)

    async def _evaluate_some(self) -> None:
        signals: list[Signal] = []
        changes: list[Change] = []
        told: set[str] = set()
        events = 0
        last = self.position
        while self._blocks and events < _TOGETHER:
            block = self._blocks[0]
            for said in await self._new(await self._evaluate(block), told):
                signals += said
                changes += self._correlation.apply(said, self._recent)
                await asyncio.sleep(0)
            events += len(block.events)
            last = block.position
            self._blocks.popleft()
        self.backlog -= events
        await self._store(last, changes, signals)
        if self.on_progress is not None:
            await self.on_progress()

    async def _evaluate(self, block: Block, *, mute: bool = False) -> list[list[Signal]]:
        """Put a block through the engine, in slices so that the loop stays free."""
        believed, ahead = self._journal.part_ahead(block)
        said: list[list[Signal]] = []
        self._engine.statistics.quarantined += 0 if mute else len(ahead)
        for event in ahead:
            self._recent[event.event_id] = as_model(event)
            said.append([_from_the_future(event)])
        for start in range(0, len(believed), _SLICE):
            part = believed[start : start + _SLICE]
            prepared = self._engine.prepare(part)
            judge = functools.partial(resolve, self._engine, self._matcher, prepared)
            await self._insist("the rules engine", judge)
            self._remember(part, prepared.hits)
            said.append(self._engine.apply(prepared, mute=mute))
            await asyncio.sleep(0)
        if not block.events:
            said.append(self._engine.advance(block.max_time, mute=mute))
        return [signals for signals in said if signals and not mute]

    async def _new(self, said: list[list[Signal]], told: set[str]) -> list[list[Signal]]:
        """Leave out detections that are known already: their events were accepted once more.

        `told` holds those that are yet to be stored.
        """
        ids = [s.detection_id for part in said for s in part if isinstance(s, Detection)]
        if not ids:
            return said
        known = await self._insist("the store", lambda: self._results.known(ids)) | told
        new: list[list[Signal]] = []
        for part in said:
            new.append([])
            for signal in part:
                if isinstance(signal, Detection):
                    if signal.detection_id in known:
                        continue
                    known.add(signal.detection_id)
                    told.add(signal.detection_id)
                new[-1].append(signal)
        return new

    async def _insist(self, what: str, work: Callable[[], Awaitable[Done]]) -> Done:
        """Do what the database or the rules engine may refuse for a while; nothing is given up.

        Raises:
            StoreError: another process evaluates this stream now.
        """
        wait = _RETRY_SECONDS
        while True:
            try:
                done = await work()
            except (MatcherError, StoreError) as error:
                if self._results.lost:
                    raise
                self._trouble(f"{what}: {error}")
                await asyncio.sleep(wait)  # of the machine's time, whatever that of the events
                wait = min(wait * 2, _LONGEST_RETRY)
            else:
                self.problem = ""
                return done

    def _remember(self, events: Sequence[Event], hits: Sequence[Hits | None]) -> None:
        """Keep matching events at hand, the newest ones."""
        recent = self._recent
        for event, found in zip(events, hits, strict=True):
            if found:
                recent[event.event_id] = as_model(event)
        while len(recent) > self._most_recent:
            recent.popitem(last=False)

    # -- store --------------------------------------------------------------------------------

    async def _store(
        self, position: int, changes: Sequence[Change], signals: Sequence[Signal]
    ) -> None:
        self._dirty = True
        quarantined = [
            (signal, self._recent.get(signal.event_id))
            for signal in signals
            if isinstance(signal, Quarantined)
        ]
        now = to_micros(self._clock.now())
        due = now - self._checkpointed_at >= _CHECKPOINT_SECONDS * SECOND
        # Without a commit the checkpoint stays behind too, and a restart comes to the same.
        if changes or quarantined or due:
            outcome = self._outcome(position)
            outcome.writes = merge(changes, self._correlation)
            outcome.quarantined = quarantined
            await self._commit(outcome)
        self._note(changes)
        async with self._progress:
            self.position = position
            self._progress.notify_all()
        if changes or signals:
            await self._tell(changes, signals)

    def _outcome(self, position: int) -> Outcome:
        return Outcome(
            Checkpoint(position, self._engine.now, self._statistics()),
            firings=self._engine.take_changes(),
            rule_hashes=self._rule_hashes,
            detectors=self._engine.dump_detectors(),
        )

    async def _checkpoint_only(self) -> None:
        if self._dirty:
            await self._commit(self._outcome(self.position))

    async def _commit(self, outcome: Outcome) -> None:
        now = to_micros(self._clock.now())
        await self._insist("the store", lambda: self._results.store(outcome, at=now))
        self._dirty, self._checkpointed_at = False, now

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("evaluation waits: %s", problem)
        self.problem = problem


def merge(changes: Sequence[Change], correlation: Correlation) -> list[IncidentWrite]:
    """Put the changes of each incident into one write, in the order of their first change."""
    grouped: dict[str, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.incident.id, []).append(change)
    return [
        IncidentWrite(
            incident=parts[-1].incident,
            tracking=correlation.tracking(incident_id),
            opened=any(part.what == "opened" for part in parts),
            story=tuple(entry for part in parts for entry in part.story),
            detections=tuple(part.detection for part in parts if part.detection is not None),
            events=tuple(event for part in parts for event in part.events),
        )
        for incident_id, parts in grouped.items()
    ]


def opened_before(
    rows: Sequence[tuple[Incident, Mapping[str, Any]]], detections: Mapping[str, Detection]
) -> list[OpenIncident]:
    """Build the active incidents as correlation knows them from what is stored.

    Args:
        rows: the incidents, each with its tracking.
        detections: the latest of each incident, by id.
    """
    found: list[OpenIncident] = []
    for incident, tracking in rows:
        latest = detections.get(tracking.get("latest", ""))
        counted = latest.event_ids if latest is not None else ()
        found.append(OpenIncident.restored(incident, tracking, counted))
    return found


def _from_the_future(event: Event) -> Quarantined:
    return Quarantined(
        event_id=event.event_id,
        at=from_micros(to_micros(event.timestamp)),
        reason="its time lies too far in the future (incident_response.detection.max_ahead)",
    )
