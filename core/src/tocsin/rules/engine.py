"""The rules over a stream of events: pure, so that the same events give the same signals.

The work on a batch is split in three so that the judging may happen in another process: `prepare`
turns events into records and says which of them have no known verdict, a matcher judges those, and
`apply` moves the windows. `detect` does all three.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.capabilities import Detector
from tocsin.clock import from_micros, to_micros
from tocsin.errors import describe
from tocsin.models import Event, Quarantined, Signal
from tocsin.models.wire import as_model
from tocsin.rules.compiler import Program
from tocsin.rules.groups import Bounds, Counters, Hit
from tocsin.rules.groups import Key as GroupKey
from tocsin.rules.matcher import Matcher, Question, Verdict
from tocsin.rules.meaning import AMONG, MATCHED, STEP, compile_rules
from tocsin.rules.projection import Record
from tocsin.rules.rulestate import RuleState
from tocsin.rules.schema import Rule

_TIMERS = 256
"""Timers from which on those that nothing waits for are looked for."""
_REMEMBERED = 65_536
"""Verdicts remembered for events of one route; more of them are rare, and asked for again."""

Hits = tuple[Hit, ...]
Key = tuple[Any, ...]
"""The record for a route's only shard, or the records for each of its shards."""
POISON: Hits = (Hit(-1, matched=False),)
"""Stands for the hits of an event that the engine cannot judge."""


@dataclass(slots=True, eq=False)
class _Route:
    """The shards that events of one type go to, and what is known of their records."""

    shards: tuple[int, ...]
    project: Callable[[Event], Key]
    known: dict[Key, Hits] = field(default_factory=dict)

    def records(self, key: Key) -> Sequence[Record]:
        """Give the record for each shard."""
        return (key,) if len(self.shards) == 1 else key


def _route(shards: tuple[int, ...], program: Program) -> _Route:
    projects = tuple(program.shards[number].project for number in shards)
    if len(projects) == 1:
        return _Route(shards, projects[0])
    return _Route(shards, lambda event: tuple([project(event) for project in projects]))


@dataclass(slots=True)
class Prepared:
    """A batch between `prepare` and `apply`."""

    events: Sequence[Event]
    hits: list[Hits | None]
    """For each event what the conditions say; None until it is known."""
    unknown: list[tuple[_Route, Key, list[int]]]
    """What has no verdict yet, and the events that wait for it."""

    def questions(self) -> list[Question]:
        """List what a matcher has to judge."""
        return [
            (shard, record)
            for route, key, _ in self.unknown
            for shard, record in zip(route.shards, route.records(key), strict=True)
        ]


@dataclass(slots=True)
class EngineStatistics:
    """What the engine has counted since it was made."""

    events: int = 0
    late: int = 0
    """Events that came later than the allowed lateness, and were not judged."""
    quarantined: int = 0
    let_go: Counters = field(default_factory=Counters)
    failed_detectors: dict[str, str] = field(default_factory=dict)
    """Detectors that are no longer asked, and why."""


class Engine:
    """Rules, their windows and the event time."""

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        allowed_lateness: int = 0,
        bounds: Bounds | None = None,
        detectors: Mapping[str, Detector] | None = None,
    ) -> None:
        """Compile rules.

        Args:
            rules: in any order; disabled ones are left out.
            allowed_lateness: how long events are held to be put in order, in microseconds.
            bounds: how much may be remembered.
            detectors: further judges of every event, by name; they have their say after the rules.
        """
        self.rules = tuple(
            sorted((rule for rule in rules if rule.enabled), key=lambda rule: rule.id)
        )
        self.statistics = EngineStatistics()
        self.now: int | None = None
        """The watermark in microseconds; None before the first event."""
        self._lateness = allowed_lateness
        self._detectors = dict(sorted((detectors or {}).items()))
        self._timers: list[tuple[int, int, str, GroupKey]] = []
        self._most_timers = _TIMERS
        self._held: list[tuple[int, str, int, Event, Hits]] = []
        self._arrived = 0
        self._states = [
            RuleState(
                rule,
                number,
                bounds=bounds or Bounds(),
                lateness=allowed_lateness,
                counters=self.statistics.let_go,
                schedule=self._schedule,
            )
            for number, rule in enumerate(self.rules)
        ]
        self._by_id = {rule.id: state for rule, state in zip(self.rules, self._states, strict=True)}
        self.program, self._meaning = compile_rules(self.rules)
        self._routes = {
            name: _route(shards, self.program) for name, shards in self.program.by_type.items()
        }
        self._otherwise = _route(self.program.otherwise, self.program)

    @property
    def reach(self) -> int:
        """How far back, in microseconds, events still matter to what is to come."""
        longest = max((rule.within for rule in self.rules), default=0)
        return 2 * longest + self._lateness

    @property
    def groups(self) -> int:
        """How many groups are remembered."""
        return sum(len(state) for state in self._states)

    # -- a batch ------------------------------------------------------------------------------

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Turn events into records and look up what is known of them."""
        hits: list[Hits | None] = []
        unknown: dict[tuple[_Route, Key], list[int]] = {}
        routes, otherwise = self._routes, self._otherwise
        for index, event in enumerate(events):
            route = routes.get(event.event_type, otherwise)
            if not route.shards:
                hits.append(())
                continue
            key = route.project(event)
            found = route.known.get(key)
            hits.append(found)
            if found is None:
                unknown.setdefault((route, key), []).append(index)
        waiting = [(route, key, indexes) for (route, key), indexes in unknown.items()]
        return Prepared(events, hits, waiting)

    def learn(self, prepared: Prepared, verdicts: Sequence[Verdict]) -> None:
        """Take the verdicts on `prepared.questions()`, in the same order."""
        position = 0
        for route, key, waiting in prepared.unknown:
            answers = verdicts[position : position + len(route.shards)]
            position += len(route.shards)
            hits = self._meaning_of(route, answers)
            if len(route.known) >= _REMEMBERED:
                route.known.clear()
            if hits is not POISON:  # which may have been a machine that was too busy
                route.known[key] = hits
            for index in waiting:
                prepared.hits[index] = hits

    def _meaning_of(self, route: _Route, answers: Sequence[Verdict]) -> Hits:
        """Turn the verdicts of an event's shards into hits, in the order of the rules."""
        said: dict[int, set[int]] = {}
        for shard, verdict in zip(route.shards, answers, strict=True):
            if verdict is None:
                return POISON
            for number in verdict:
                rule, part = self._meaning[self.program.shards[shard].names[number]]
                said.setdefault(rule, set()).add(part)
        hits = []
        for rule, parts in sorted(said.items()):
            steps = tuple(STEP + i in parts for i in range(len(self.rules[rule].escalate)))
            if MATCHED in parts or AMONG in parts:
                hits.append(Hit(rule, MATCHED in parts, steps))
        return tuple(hits)

    def apply(self, prepared: Prepared, *, mute: bool = False) -> list[Signal]:
        """Let time and events pass through the windows.

        Args:
            prepared: a batch whose verdicts are all known.
            mute: only rebuild the windows; nothing fires and nothing is counted.
        """
        signals: list[Signal] = []
        lateness = self._lateness
        for event, hits in zip(prepared.events, prepared.hits, strict=True):
            at = to_micros(event.timestamp)
            if hits is None:
                raise AssertionError("apply needs the verdict on every event")
            if lateness:
                self._hold(at, event, hits, signals, mute=mute)
            else:
                if self.now is None or at > self.now:
                    self._advance(at, signals)
                if hits or self._detectors:
                    self._judge(event, at, hits, signals, mute=mute)
        if not mute:
            self.statistics.events += len(prepared.events)
        return signals

    def _hold(
        self, at: int, event: Event, hits: Hits, signals: list[Signal], *, mute: bool
    ) -> None:
        if self.now is not None and at < self.now:
            if not mute:
                self.statistics.late += 1
            return
        self._arrived += 1
        heapq.heappush(self._held, (at, event.event_id, self._arrived, event, hits))
        self._release(at - self._lateness, signals, mute=mute)

    def _release(self, until: int, signals: list[Signal], *, mute: bool = False) -> None:
        """Judge the held events before an instant, in the order of their time.

        Those of the instant itself wait: others of that time may still come.
        """
        held = self._held
        while held and held[0][0] < until:
            at, _, _, event, hits = heapq.heappop(held)
            self._advance(at, signals)
            if hits or self._detectors:
                self._judge(event, at, hits, signals, mute=mute)
        if self.now is None or until > self.now:
            self._advance(until, signals)

    def _judge(
        self, event: Event, at: int, hits: Hits, signals: list[Signal], *, mute: bool
    ) -> None:
        if hits is POISON:
            if not mute:
                self.statistics.quarantined += 1
                reason = "the rules engine could not judge it"
                signals.append(
                    Quarantined(event_id=event.event_id, at=from_micros(at), reason=reason)
                )
            return
        now = self.now if self.now is not None else at
        states = self._states
        for hit in hits:
            signals.extend(states[hit.rule].observe(event, at, now, hit, mute=mute))
        if self._detectors and not mute:
            self._detect(event, signals)

    def _detect(self, event: Event, signals: list[Signal]) -> None:
        """Ask the detectors; one that fails is left out from then on, and reported."""
        for name, detector in list(self._detectors.items()):
            try:
                signals.extend(detector.observe(as_model(event)))
            except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; the rest go on
                self._leave_out(name, error)

    # -- time ---------------------------------------------------------------------------------

    def advance(self, instant: int, *, mute: bool = False) -> list[Signal]:
        """Let the time move on to an instant, as if nothing happened until then."""
        signals: list[Signal] = []
        if self._lateness:
            self._release(instant - self._lateness, signals, mute=mute)
        elif self.now is None or instant > self.now:
            self._advance(instant, signals)
        return signals

    def finish(self) -> list[Signal]:
        """Judge all that is held, and let pass all that falls due at the time reached."""
        signals: list[Signal] = []
        last = max((entry[0] for entry in self._held), default=self.now)
        if last is not None:
            self._release(last + 1, signals)
            self.now = last
        return signals

    def next_due(self) -> int | None:
        """Give the event time from which on time alone may change something, if there is one."""
        first = [heap[0][0] for heap in (self._timers, self._held) if heap]
        return min(first) + self._lateness if first else None

    def _advance(self, instant: int, signals: list[Signal]) -> None:
        """Move the time; what falls due exactly then waits for the events of that instant."""
        while self._timers and self._timers[0][0] < instant:
            due, number, _, key = heapq.heappop(self._timers)
            self.now = due
            signals.extend(self._states[number].tick(key, due))
        self.now = instant

    def _schedule(self, due: int, number: int, text: str, key: GroupKey) -> None:
        heapq.heappush(self._timers, (due, number, text, key))
        if len(self._timers) > self._most_timers:
            # Groups that were let go leave theirs behind: without this they would pile up.
            states = self._states
            self._timers = [t for t in self._timers if states[t[1]].waits_for(t[3], t[0])]
            heapq.heapify(self._timers)
            self._most_timers = max(_TIMERS, 2 * len(self._timers))

    def last_seen(self, rule_id: str, group: Mapping[str, Any]) -> int | None:
        """Give the engine's time at the latest event that a rule matched in a group."""
        state = self._by_id.get(rule_id)
        return state.last_seen(group) if state is not None else None

    # -- persistence --------------------------------------------------------------------------

    def take_changes(self) -> dict[str, dict[str, dict[str, Any] | None]]:
        """Give the firings that changed since the last call: by rule, then by group."""
        return {state.rule.id: state.take_dirty() for state in self._states if state.dirty}

    def dump_detectors(self) -> dict[str, bytes]:
        """Give the states of the detectors, by name."""
        states: dict[str, bytes] = {}
        for name, detector in list(self._detectors.items()):
            try:
                states[name] = detector.dump()
            except Exception as error:  # noqa: BLE001 - see _detect
                self._leave_out(name, error)
        return states

    def _leave_out(self, name: str, error: Exception) -> None:
        del self._detectors[name]
        self.statistics.failed_detectors[name] = describe(error)

    def load_detectors(self, states: Mapping[str, bytes]) -> None:
        """Take the states that `dump_detectors` gave; one without a state begins anew."""
        for name, detector in self._detectors.items():
            if name in states:
                detector.load(states[name])

    def restore(self, now: int, firings: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
        """Set the time and the stored firings, after the windows were rebuilt by muted replay.

        Args:
            now: the watermark of the checkpoint.
            firings: by rule, then by group; those of unknown rules are left out.
        """
        self._release(now, [], mute=True)
        for rule_id, groups in firings.items():
            state = self._by_id.get(rule_id)
            if state is not None:
                for text, firing in sorted(groups.items()):
                    state.restore(text, firing, now)
        for state in self._states:
            state.resume(now)


async def detect(engine: Engine, matcher: Matcher, events: Sequence[Event]) -> list[Signal]:
    """Put a batch of events through the rules."""
    prepared = engine.prepare(events)
    await resolve(engine, matcher, prepared)
    return engine.apply(prepared)


async def resolve(engine: Engine, matcher: Matcher, prepared: Prepared) -> None:
    """Have everything judged that a prepared batch does not know."""
    if prepared.unknown:
        engine.learn(prepared, await matcher.match(prepared.questions()))
