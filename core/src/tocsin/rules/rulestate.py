"""One rule at work: its groups, their windows, and when it fires.

A rule fires when its condition turns from false to true, and, while it stays true, again at a
matching event once `once_within` has passed. The condition is a function of event time: it is
judged at each matching event, and falls when the time moves past the events that held it up. An
event that comes late is judged in the windows that it belongs to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from tocsin.clock import from_micros
from tocsin.models import (
    Cleared,
    Detection,
    Escalation,
    Event,
    IncidentSeverity,
    Signal,
)
from tocsin.models.events import component_of
from tocsin.rules.fields import format_path, getter, grouping
from tocsin.rules.firings import Firing, make_detection, reached_severity
from tocsin.rules.groups import Bounds, Counters, Group, Hit, Key, as_key, group_of
from tocsin.rules.schema import Rule
from tocsin.rules.windows import (
    Aggregate,
    Entry,
    distinguishable,
    find_turn,
    judged,
    make_aggregate,
)

Schedule = Callable[[int, int, str, Key], None]
"""Takes an instant, the rule's number, the group as text and the group's key."""


class RuleState:
    """A rule and everything that it remembers."""

    def __init__(
        self,
        rule: Rule,
        number: int,
        *,
        bounds: Bounds,
        lateness: int,
        counters: Counters,
        schedule: Schedule,
    ) -> None:
        self.rule = rule
        self.hash = rule.content_hash()
        self.dirty: dict[str, Group | None] = {}
        """Groups, by their text, whose firing is not stored yet; None where it is over."""
        self._stored: set[str] = set()
        """Groups, by their text, of which the store has a firing."""
        self._number = number
        self._counters = counters
        self._schedule = schedule
        self._groups: OrderedDict[Key, Group] = OrderedDict()
        self._most_groups = bounds.groups
        self._getters = tuple((format_path(path), grouping(path)) for path in rule.group_by)
        self._judged = judged(rule)
        self._value_getters = tuple(
            component_of if a.name == "components" else getter(a.path) if a.path else None
            for a in self._judged
        )
        # Without lateness an event may come late into a window that others have left.
        self._kept_for = rule.within if lateness else 2 * rule.within
        needed = [int(bound) * 2 for a in self._judged for _, bound in a.limit.bounds()]
        self._most_events = max(bounds.events, *needed, 1)
        self._may_rise = any(
            name not in ("gte", "gt") for a in self._judged for name, _ in a.limit.bounds()
        )
        self._remembers = bool(
            rule.windowed or rule.once_within or rule.resolve_after or rule.escalate
        )

    def __len__(self) -> int:
        return len(self._groups)

    def observe(
        self, event: Event, at: int, now: int, hit: Hit, *, mute: bool = False
    ) -> Iterator[Signal]:
        """Take an event that the rule's conditions speak of, as `hit` says.

        `at` is its time and `now` the engine's, not before it, both in microseconds; with `mute`
        it is only remembered, and nothing fires.
        """
        key, values = group_of(self._getters, event)
        group = self._groups.get(key)
        if group is not None and self._stale(group, now):
            self._forget(group)
            group = None
        if not hit.matched:
            if group is not None:
                self._interrupt(group, at, now)
            return
        if group is None:
            group = Group(key, values, self._aggregates())
        if self._remembers:
            self._keep(group, now)
        yield from (
            self._windowed(group, event, at, now, hit, mute=mute)
            if self.rule.windowed
            else self._single(group, event, at, now, hit, mute=mute)
        )
        if self._remembers and not mute:
            if group.firing.detection_id and self.rule.resolve_after is not None:
                self._touch(group)  # when it was last seen is part of what is stored
            self._plan(group, now)

    def _aggregates(self) -> list[Aggregate]:
        most = self._most_events
        return [make_aggregate(a, i, most) for i, a in enumerate(self._judged)]

    def _keep(self, group: Group, now: int) -> None:
        groups = self._groups
        groups[group.key] = group
        groups.move_to_end(group.key)
        while (front := next(iter(groups.values()))) is not group and self._stale(front, now):
            self._forget(front)
        if len(groups) > self._most_groups:
            self._forget(next(iter(groups.values())))
            self._counters.groups += 1

    def _forget(self, group: Group) -> None:
        del self._groups[group.key]
        if group.text in self._stored:
            self.dirty[group.text] = None
        else:
            self.dirty.pop(group.text, None)

    def _stale(self, group: Group, now: int) -> bool:
        """Whether nothing of a group can matter any more."""
        firing = group.firing
        if firing.on or (firing.detection_id and self.rule.resolve_after is not None):
            return False
        throttled = self.rule.once_within if not self.rule.windowed else None
        if throttled and firing.fired_at is not None and now - firing.fired_at <= throttled:
            return False
        return now - firing.seen > self._kept_for

    def _single(
        self, group: Group, event: Event, at: int, now: int, hit: Hit, *, mute: bool
    ) -> Iterator[Signal]:
        """Judge a rule without a window: every matching event is the whole condition."""
        rule, firing = self.rule, group.firing
        firing.seen = now
        if mute:
            return
        if firing.since is None or firing.detection_id is None:
            firing.since = at
        entry = Entry(at, now, event.event_id, component_of(event), event.correlation_id, ())
        throttled = rule.once_within is not None and not self._may_repeat(firing, at)
        if throttled:
            yield from self._escalate(group, event, at, hit, ())
        else:
            yield self._fire(group, at, [entry], (), self._severity(group, at, hit.steps, ()))

    def _windowed(
        self, group: Group, event: Event, at: int, now: int, hit: Hit, *, mute: bool
    ) -> Iterator[Signal]:
        firing = group.firing
        if firing.broken_at is not None and at < firing.broken_at:
            return
        instants = group.log.instants(at, min(at + self.rule.within, now), now)
        before = [x for x in instants if (firing.on if x == now else self._true_at(group, x, now))]
        self._remember(group, event, at, now)
        if mute:
            return
        after = [x for x in instants if self._true_at(group, x, now)]
        turn = find_turn(
            instants, before, after, lambda x: at < now and self._true_at(group, x - 1, now)
        )
        on = self._true_at(group, now, now)
        if on is not firing.on:
            firing.on = on
            self._touch(group)
        if not after:
            return
        if turn is not None and (firing.detection_id is None or self.rule.resolve_after is None):
            firing.since = at
        tipped = turn if turn is not None else after[-1]
        values = self._values(group, tipped, now)
        if turn is not None or self._may_repeat(firing, at):
            entries = group.log.between(tipped - self.rule.within, tipped)
            severity = self._severity(group, at, hit.steps, values)
            yield self._fire(group, at, entries, values, severity)
        else:
            yield from self._escalate(group, event, at, hit, values)

    def _may_repeat(self, firing: Firing, at: int) -> bool:
        """Whether a condition that stays true fires again."""
        span = self.rule.once_within
        return span is not None and (firing.fired_at is None or at - firing.fired_at >= span)

    def _remember(self, group: Group, event: Event, at: int, now: int) -> None:
        group.firing.seen = now
        group.log.expire(now)
        entry = self._entry(event, at, now)
        group.log.add(entry)
        for aggregate in group.aggregates:
            aggregate.add(entry)
        self._counters.events += group.log.cut(self._most_events)

    def _entry(self, event: Event, at: int, now: int) -> Entry:
        values = tuple(
            distinguishable(get(event)) if get is not None else None for get in self._value_getters
        )
        until = now + self._kept_for
        return Entry(at, until, event.event_id, component_of(event), event.correlation_id, values)

    def _values(self, group: Group, instant: int, now: int) -> tuple[float, ...]:
        start = instant - self.rule.within
        if instant == now:
            return tuple(aggregate.current(group.log, start) for aggregate in group.aggregates)
        return tuple(aggregate.past(group.log, start, instant) for aggregate in group.aggregates)

    def _holds(self, values: tuple[float, ...]) -> bool:
        return all(a.limit.holds(v) for a, v in zip(self._judged, values, strict=True))

    def _true_at(self, group: Group, instant: int, now: int) -> bool:
        """Whether the condition holds for the window that ends at an instant, if it has events."""
        oldest = group.log.oldest(instant - self.rule.within)
        if oldest is None or oldest > instant:
            return False
        return self._holds(self._values(group, instant, now))

    def _interrupt(self, group: Group, at: int, now: int) -> None:
        """End a run: the events up to here no longer count."""
        group.log.clear(at)
        rest = group.log.between(at, now)
        group.aggregates = self._aggregates()
        for aggregate in group.aggregates:
            for entry in rest:
                aggregate.add(entry)
        firing = group.firing
        firing.broken_at = at if firing.broken_at is None else max(at, firing.broken_at)
        if firing.on:
            firing.on = bool(rest) and self._holds(self._values(group, now, now))
        self._touch(group)

    def tick(self, key: Key, instant: int) -> Iterator[Signal]:
        """Look at a group at an instant that was planned for it."""
        group = self._groups.get(key)
        if group is None or group.timer != instant:
            return
        group.timer = None
        firing, rule = group.firing, self.rule
        if rule.windowed and (firing.on or self._may_rise):
            on = self._true_at(group, instant, instant)
            if on and not firing.on:
                if firing.detection_id is None or rule.resolve_after is None:
                    firing.since = instant
                entries = group.log.between(instant - rule.within, instant)
                values = self._values(group, instant, instant)
                severity = self._severity(group, instant, (), values)
                yield self._fire(group, instant, entries, values, severity)
            if on is not firing.on:
                firing.on = on
                self._touch(group)
        if firing.detection_id and rule.resolve_after is not None:
            over = firing.latest + rule.resolve_after
            if instant >= over:
                yield Cleared(
                    rule_id=rule.id,
                    group=group.values,
                    detection_id=firing.detection_id,
                    at=from_micros(over),
                )
                firing.clear()
                self._touch(group)
        self._plan(group, instant)

    def _plan(self, group: Group, now: int) -> None:
        """Have the group looked at when time alone may change something."""
        rule, firing = self.rule, group.firing
        due: int | None = None
        if rule.windowed and (firing.on or self._may_rise):
            oldest = group.log.oldest(now - rule.within)
            due = oldest + rule.within + 1 if oldest is not None else None
        if firing.detection_id and rule.resolve_after is not None:
            over = firing.latest + rule.resolve_after
            due = over if due is None else min(due, over)
        if due is not None and (group.timer is None or due < group.timer):
            group.timer = due
            self._schedule(due, self._number, group.text, group.key)

    def _severity(
        self, group: Group, at: int, steps: tuple[bool, ...], values: tuple[float, ...]
    ) -> IncidentSeverity:
        since = group.firing.since if group.firing.since is not None else at
        return reached_severity(self.rule, at - since, steps, self._named(values))

    def _escalate(
        self, group: Group, event: Event, at: int, hit: Hit, values: tuple[float, ...]
    ) -> Iterator[Signal]:
        firing = group.firing
        if not self.rule.escalate or firing.detection_id is None or firing.severity is None:
            return
        severity = self._severity(group, at, hit.steps, values)
        if severity > firing.severity:
            firing.severity = severity
            self._touch(group)
            yield Escalation(
                rule_id=self.rule.id,
                group=group.values,
                detection_id=firing.detection_id,
                at=from_micros(at),
                severity=severity,
                values=self._named(values),
                event_id=event.event_id,
            )

    def _named(self, values: tuple[float, ...]) -> dict[str, float]:
        return {a.name: value for a, value in zip(self._judged, values, strict=False)}

    def _fire(
        self,
        group: Group,
        at: int,
        entries: list[Entry],
        values: tuple[float, ...],
        severity: IncidentSeverity,
    ) -> Detection:
        detection = make_detection(
            self.rule,
            rule_hash=self.hash,
            group_text=group.text,
            group=group.values,
            at=at,
            entries=entries,
            values=self._named(values),
            severity=severity,
        )
        firing = group.firing
        firing.fired_at, firing.detection_id, firing.severity = at, detection.detection_id, severity
        self._touch(group)
        return detection

    def _touch(self, group: Group) -> None:
        if self._remembers:
            self.dirty[group.text] = group

    def take_dirty(self) -> dict[str, dict[str, Any] | None]:
        """Give the firings that changed since the last call, by group; None where one is over."""
        changed = {text: self._dump(group) for text, group in self.dirty.items()}
        known = self._stored
        kept = {text for text, state in changed.items() if state}
        self._stored = (known - changed.keys()) | kept
        self.dirty.clear()
        # What the store never had needs no deleting.
        return {text: state for text, state in changed.items() if state or text in known}

    def _dump(self, group: Group | None) -> dict[str, Any] | None:
        if group is None:
            return None
        firing, rule = group.firing, self.rule
        pending = firing.detection_id is not None and rule.resolve_after is not None
        throttled = not rule.windowed and rule.once_within is not None
        return firing.dump(group.values) if firing.on or pending or throttled else None

    def resume(self, now: int) -> None:
        """Plan what time alone may bring about, after the windows were rebuilt."""
        if self._may_rise:
            for group in self._groups.values():
                self._plan(group, now - 1)

    def last_seen(self, values: Mapping[str, Any]) -> int | None:
        """Give the engine's time at the latest matching event of a group."""
        found = (group for group in self._groups.values() if group.values == values)
        return next((group.firing.seen for group in found), None)

    def waits_for(self, key: Key, instant: int) -> bool:
        """Say whether a group still wants to be looked at at an instant that was planned for it."""
        group = self._groups.get(key)
        return group is not None and group.timer == instant

    def restore(self, text: str, state: dict[str, Any], now: int) -> None:
        """Take the stored firing of a group, after its window was rebuilt."""
        key = as_key(orjson.loads(text))
        group = self._groups.get(key)
        if group is None:
            group = Group(key, state["group"], self._aggregates())
            self._groups[key] = group
            self._groups.move_to_end(key, last=False)
        self._stored.add(text)
        group.firing = Firing.load(state, seen=group.firing.seen)
        self._plan(group, now - 1)  # what falls due at this very instant has not been looked at
