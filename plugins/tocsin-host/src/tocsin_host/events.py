"""Judges a reading: pure, so that the same reading gives the same events."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from tocsin.clock import isoformat
from tocsin.models import IncidentEvent, IncidentSeverity
from tocsin_host.params import HostParams
from tocsin_host.readings import Disk, Load, Reading, Share, Zombie

_LONGEST_ID = 256
_MOST_LISTED = 20
_NEARLY_FULL = 5.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_UNIT = 1024


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns readings into events."""

    host: str
    params: HostParams
    name_of: Callable[[int], str] = lambda _pid: ""
    """Names a process, to tell people whose children the zombies are."""

    def events(self, reading: Reading, at: datetime) -> list[IncidentEvent]:
        """Give what is worth an event in a reading, then the sample of all its numbers."""
        found = [
            *self._memory(reading.memory, at),
            *self._swap(reading.swap, at),
            *(event for disk in reading.disks for event in self._disk(disk, at)),
            *self._zombies(reading.zombies, at),
            *self._load(reading.load, at),
        ]
        if self.params.samples:
            found.append(self._sample(reading, at))
        return found

    def _memory(self, share: Share | None, at: datetime) -> Iterable[IncidentEvent]:
        if share is None or share.percent < self.params.memory_percent:
            return
        yield self._event(
            "memory_high",
            at,
            IncidentSeverity.HIGH,
            f"memory is {share.percent:.1f}% in use, {_amount(share.free_bytes)} available",
            {
                "percent": share.percent,
                "available_bytes": share.free_bytes,
                "total_bytes": share.total_bytes,
            },
        )

    def _swap(self, share: Share | None, at: datetime) -> Iterable[IncidentEvent]:
        limit = self.params.swap_percent
        if limit is None or share is None or not share.total_bytes or share.percent < limit:
            return
        yield self._event(
            "swap_high",
            at,
            IncidentSeverity.MEDIUM,
            f"swap is {share.percent:.1f}% in use, {_amount(share.free_bytes)} free",
            {
                "percent": share.percent,
                "free_bytes": share.free_bytes,
                "total_bytes": share.total_bytes,
            },
        )

    def _disk(self, disk: Disk, at: datetime) -> Iterable[IncidentEvent]:
        share = disk.share
        if share.percent < self.params.disk_percent:
            return
        free_percent = round(100.0 - share.percent, 1)
        mount = _plain(disk.mount)
        yield self._event(
            "disk_space_low",
            at,
            IncidentSeverity.CRITICAL if free_percent < _NEARLY_FULL else IncidentSeverity.HIGH,
            f"{mount} is {share.percent:.1f}% full, {_amount(share.free_bytes)} free",
            {
                "mount": mount,
                "percent": share.percent,
                "free_percent": free_percent,
                "free_bytes": share.free_bytes,
            },
            about=mount,
        )

    def _zombies(self, zombies: tuple[Zombie, ...], at: datetime) -> Iterable[IncidentEvent]:
        if len(zombies) < self.params.zombie_count:
            return
        worst = Counter(zombie.parent for zombie in zombies).most_common(_MOST_LISTED)
        parents: dict[str, JsonValue] = {
            str(parent): {"name": _plain(self.name_of(parent)), "zombies": count}
            for parent, count in worst
        }
        yield self._event(
            "zombie_processes",
            at,
            IncidentSeverity.MEDIUM,
            f"{len(zombies)} zombie processes",
            {
                "count": len(zombies),
                "pids": [zombie.pid for zombie in zombies[:_MOST_LISTED]],
                "parents": parents,
            },
        )

    def _load(self, load: Load | None, at: datetime) -> Iterable[IncidentEvent]:
        if load is None or load.per_core < self.params.load_per_core:
            return
        yield self._event(
            "load_high",
            at,
            IncidentSeverity.MEDIUM,
            f"load is {load.one:.2f} on {load.cores} cores",
            _load_numbers(load),
        )

    def _sample(self, reading: Reading, at: datetime) -> IncidentEvent:
        numbers: dict[str, JsonValue] = {"zombie_count": len(reading.zombies)}
        for name, share in (("memory", reading.memory), ("swap", reading.swap)):
            if share is not None:
                free = "available" if name == "memory" else "free"
                numbers[f"{name}_percent"] = share.percent
                numbers[f"{name}_{free}_bytes"] = share.free_bytes
                numbers[f"{name}_total_bytes"] = share.total_bytes
        if reading.load is not None:
            numbers |= _load_numbers(reading.load)
            numbers["load_per_core"] = round(reading.load.per_core, 4)
        if reading.disks:
            numbers["disk_percent"] = max(disk.share.percent for disk in reading.disks)
        numbers["disks"] = {
            _plain(disk.mount): {
                "percent": disk.share.percent,
                "free_bytes": disk.share.free_bytes,
                "total_bytes": disk.share.total_bytes,
            }
            for disk in reading.disks
        }
        return self._event(
            "host.sample", at, IncidentSeverity.LOW, f"state of {self.host}", numbers
        )

    def _event(
        self,
        event_type: str,
        at: datetime,
        severity: IncidentSeverity,
        message: str,
        metadata: Mapping[str, JsonValue],
        *,
        about: str = "",
    ) -> IncidentEvent:
        identity = f"{self.host}:{event_type}:{about}:{isoformat(at)}"
        if len(identity) > _LONGEST_ID:
            identity = hashlib.sha256(identity.encode()).hexdigest()
        return IncidentEvent(
            event_id=identity,
            timestamp=at,
            event_type=event_type,
            source=self.host,
            severity=severity,
            message=message,
            metadata=dict(metadata),
        )


def _load_numbers(load: Load) -> dict[str, JsonValue]:
    return {"load1": load.one, "load5": load.five, "load15": load.fifteen, "cores": load.cores}


def _plain(text: str) -> str:
    # The system gives bytes that are no UTF-8 as lone surrogates, which JSON cannot hold.
    return text.encode("utf-8", "backslashreplace").decode()


def _amount(number: float) -> str:
    for unit in _UNITS[:-1]:
        if number < _UNIT:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _UNIT
    return f"{number:.1f} {_UNITS[-1]}"
