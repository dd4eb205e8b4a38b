"""Judging a reading."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin.models import IncidentEvent, IncidentSeverity
from tocsin_host import HostParams
from tocsin_host.events import Judge
from tocsin_host.readings import Disk, Load, Reading, Share, Zombie

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
GIB = 1024**3
CALM = Reading(
    memory=Share(40.0, 6 * GIB, 10 * GIB),
    swap=Share(0.0, 2 * GIB, 2 * GIB),
    load=Load(0.5, 0.4, 0.3, 2),
    disks=(Disk("/", Share(50.0, 50 * GIB, 100 * GIB)),),
    zombies=(),
)


def judged(reading: Reading, at: datetime = AT, **params: Any) -> list[IncidentEvent]:
    params = {"samples": False, **params}
    return Judge("web-1", HostParams(**params), lambda pid: f"p{pid}").events(reading, at)


def test_a_calm_machine_gives_a_sample_only() -> None:
    (event,) = judged(CALM, samples=True)

    assert event.event_type == "host.sample"
    assert event.severity is IncidentSeverity.LOW
    assert (event.source, event.timestamp) == ("web-1", AT)
    assert event.metadata == {
        "memory_percent": 40.0,
        "memory_available_bytes": 6 * GIB,
        "memory_total_bytes": 10 * GIB,
        "swap_percent": 0.0,
        "swap_free_bytes": 2 * GIB,
        "swap_total_bytes": 2 * GIB,
        "load1": 0.5,
        "load5": 0.4,
        "load15": 0.3,
        "cores": 2,
        "load_per_core": 0.25,
        "zombie_count": 0,
        "disk_percent": 50.0,
        "disks": {"/": {"percent": 50.0, "free_bytes": 50 * GIB, "total_bytes": 100 * GIB}},
    }


def test_samples_can_be_turned_off() -> None:
    assert judged(CALM) == []


def test_what_could_not_be_read_is_left_out_of_the_sample() -> None:
    (event,) = judged(Reading(None, None, None, (), ()), samples=True, swap_percent=1)

    assert event.metadata == {"zombie_count": 0, "disks": {}}


def test_memory_is_high_from_the_limit_on() -> None:
    below = dataclasses.replace(CALM, memory=Share(89.9, GIB, 10 * GIB))
    at_limit = dataclasses.replace(CALM, memory=Share(90.0, GIB, 10 * GIB))

    assert judged(below) == []
    (event,) = judged(at_limit)
    assert event.event_type == "memory_high"
    assert event.severity is IncidentSeverity.HIGH
    assert event.message == "memory is 90.0% in use, 1.0 GiB available"
    assert event.metadata == {"percent": 90.0, "available_bytes": GIB, "total_bytes": 10 * GIB}


def test_swap_is_judged_only_where_it_is_asked_for_and_exists() -> None:
    reading = dataclasses.replace(CALM, swap=Share(80.0, 512, 2 * GIB))
    without = dataclasses.replace(CALM, swap=Share(100.0, 0, 0))

    assert judged(reading) == []
    assert judged(without, swap_percent=50) == []
    (event,) = judged(reading, swap_percent=50)
    assert event.event_type == "swap_high"
    assert event.message == "swap is 80.0% in use, 512 B free"


@pytest.mark.parametrize(
    ("percent", "severity", "free_percent"), [(90.0, "high", 10.0), (96.0, "critical", 4.0)]
)
def test_a_full_disk(percent: float, severity: str, free_percent: float) -> None:
    disks = (*CALM.disks, Disk("/var", Share(percent, 3 * GIB, 100 * GIB)))

    (event,) = judged(dataclasses.replace(CALM, disks=disks))

    assert event.event_type == "disk_space_low"
    assert event.severity == severity
    assert event.metadata == {
        "mount": "/var",
        "percent": percent,
        "free_percent": free_percent,
        "free_bytes": 3 * GIB,
    }


def test_zombies_are_listed_up_to_twenty_with_the_worst_parents_first() -> None:
    children = [Zombie(1000 + n, 7) for n in range(30)] + [Zombie(2000, 9)]

    (event,) = judged(dataclasses.replace(CALM, zombies=tuple(children)))

    assert event.event_type == "zombie_processes"
    assert event.metadata["count"] == 31
    assert event.metadata["pids"] == [1000 + n for n in range(20)]
    assert event.metadata["parents"] == {
        "7": {"name": "p7", "zombies": 30},
        "9": {"name": "p9", "zombies": 1},
    }


def test_few_zombies_are_no_event() -> None:
    assert judged(dataclasses.replace(CALM, zombies=(Zombie(2, 1),) * 4)) == []


def test_load_counts_for_each_core() -> None:
    busy = Load(8.0, 6.0, 4.0, 2)

    assert judged(dataclasses.replace(CALM, load=dataclasses.replace(busy, cores=4))) == []
    (event,) = judged(dataclasses.replace(CALM, load=busy))
    assert event.event_type == "load_high"
    assert event.metadata == {"load1": 8.0, "load5": 6.0, "load15": 4.0, "cores": 2}


def test_ids_follow_from_host_type_mount_and_instant() -> None:
    full = Share(95.0, GIB, 20 * GIB)
    reading = dataclasses.replace(CALM, disks=(Disk("/a", full), Disk("/b", full)))

    first = [event.event_id for event in judged(reading)]

    assert first == [event.event_id for event in judged(reading)]
    later = [event.event_id for event in judged(reading, AT + timedelta(seconds=10))]
    assert len({*first, *later}) == 4


def test_a_mount_with_a_long_name_in_bytes_that_are_no_text() -> None:
    disk = Disk("/" + "x" * 300 + "\udcff", Share(95.0, GIB, 20 * GIB))

    (event,) = judged(dataclasses.replace(CALM, disks=(disk,)))

    assert len(event.event_id) <= 256
    assert event.metadata["mount"] == "/" + "x" * 300 + "\\udcff"


def test_amounts_too_large_for_any_disk_still_read_well() -> None:
    (event,) = judged(dataclasses.replace(CALM, memory=Share(99.0, 5000 * 1024**5, 10**19)))

    assert event.message.endswith("5000.0 PiB available")
