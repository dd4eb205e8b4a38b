"""Reading the machine, and the loop around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from tocsin.capabilities import SourceBatch, SourceContext
from tocsin_host import HostParams, HostSource
from tocsin_host.readings import Reading, name_of, read

NOTHING = Reading(None, None, None, (), ())


async def first(source: HostSource, count: int) -> list[SourceBatch]:
    found: list[SourceBatch] = []
    async with aclosing(source.batches(None)) as batches:
        async for batch in batches:
            found.append(batch)
            if len(found) == count:
                break
    return found


def partition(device: str, mount: str, kind: str) -> SimpleNamespace:
    return SimpleNamespace(device=device, mountpoint=mount, fstype=kind, opts="rw")


async def test_this_machine_can_be_read(context: SourceContext, clock: Any) -> None:
    batches = await first(HostSource(HostParams.model_validate({"interval": "5s"}), context), 2)

    for batch in batches:
        sample = batch.events[-1]
        assert sample.event_type == "host.sample"
        percent = sample.metadata["memory_percent"]
        assert isinstance(percent, float)
        assert 0 < percent <= 100
        assert sample.metadata["disks"]
    assert clock.slept == [5.0]
    first_at, second_at = (batch.events[-1].timestamp for batch in batches)
    assert (second_at - first_at).total_seconds() == 5
    assert batches[0].events[-1].event_id != batches[1].events[-1].event_id
    assert batches[0].cursor is None


async def test_readings_are_taken_off_the_loop(context: SourceContext) -> None:
    threads = []

    def take() -> Reading:
        threads.append(threading.current_thread())
        return NOTHING

    await first(HostSource(HostParams(), context, take=take), 1)

    assert threads[0] is not threading.main_thread()


async def test_a_trouble_is_reported_once_until_it_was_gone(
    context: SourceContext, reports: list[str]
) -> None:
    troubles = iter([("no disk",), ("no disk", "no load"), (), ("no disk",)])

    def take() -> Reading:
        return Reading(None, None, None, (), (), next(troubles))

    await first(HostSource(HostParams(), context, take=take), 4)

    assert reports == ["no disk", "no load", "no disk"]


async def test_the_host_can_be_named(context: SourceContext) -> None:
    named = await first(HostSource(HostParams(host="db-1"), context, take=lambda: NOTHING), 1)
    unnamed = await first(HostSource(HostParams(), context, take=lambda: NOTHING), 1)

    assert named[0].events[0].source == "db-1"
    assert unnamed[0].events[0].source == os.uname().nodename


def test_mounts_without_a_local_disk_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    partitions = [
        partition("proc", "/proc", "proc"),
        partition("tmpfs", "/run", "tmpfs"),
        partition("nas:/x", "/mnt/nas", "nfs4"),
        partition("/dev/loop1", "/snap/core", "squashfs"),
        partition("sshfs", "/mnt/ssh", "fuse.sshfs"),
        partition("overlay", "/", "overlay"),
        partition("overlay", "/var/lib/docker/overlay2/abc/merged", "overlay"),
        partition("none", "/odd", ""),
        partition("/dev/sdb1", "/srv/jail/data", "ext4"),
        partition("/dev/sdb1", "/data", "ext4"),
        partition("/dev/sdc1", "/backup", "xfs"),
    ]
    usage = SimpleNamespace(percent=10.0, free=90, total=100)
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_named: partitions)
    monkeypatch.setattr(psutil, "disk_usage", lambda _mount: usage)

    reading = read(ignore_mounts=["/back*"])

    assert [disk.mount for disk in reading.disks] == ["/", "/data"]


def test_a_mount_that_is_gone_is_a_trouble_and_no_end() -> None:
    reading = read(mounts=["/", "/no/such/mount"])

    assert [disk.mount for disk in reading.disks] == ["/"]
    assert reading.troubles == ("cannot read mount /no/such/mount: No such file or directory",)
    assert reading.memory is not None


@pytest.mark.parametrize(
    ("function", "error", "trouble"),
    [
        ("virtual_memory", PermissionError(13, "Permission denied"), "memory: Permission denied"),
        ("swap_memory", RuntimeWarning("no vmstat"), "swap: no vmstat"),
        ("getloadavg", OSError(), "load: OSError"),
        ("process_iter", psutil.AccessDenied(1), "processes: (pid=1)"),
        ("disk_partitions", PermissionError(1, "Not allowed"), "the list of mounts: Not allowed"),
    ],
)
def test_what_cannot_be_read_does_not_stop_the_rest(
    function: str, error: Exception, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr(psutil, function, fail)

    reading = read()

    assert reading.troubles == (f"cannot read {trouble}",)


@pytest.fixture
def zombie() -> Any:
    """A child of ours that has ended and is not waited for."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    yield child.pid
    child.wait()


def until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def test_a_zombie_is_found_with_its_parent(zombie: int) -> None:
    found = {one.pid: one.parent for one in read(mounts=["/"]).zombies}

    assert found[zombie] == os.getpid()
    assert name_of(os.getpid())


def test_a_process_that_is_gone_has_no_name() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.send_signal(signal.SIGKILL)
    child.wait()

    assert name_of(child.pid) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": "soon"},
        {"interval": 0},
        {"memory_percent": 101},
        {"disk_percent": 0},
        {"zombie_count": 0},
        {"load_per_core": 0},
        {"discs": 1},
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HostParams.model_validate(wrong)


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("5m", 300), (2, 2), ("1d", 86400)]
)
def test_intervals_as_people_write_them(written: Any, seconds: float) -> None:
    assert HostParams.model_validate({"interval": written}).interval == seconds


def test_the_entry_point_leads_to_the_hook(context: SourceContext) -> None:
    (found,) = entry_points(group="tocsin", name="host")

    (offered,) = found.load().tocsin_sources()

    assert (offered.name, offered.params) == ("host", HostParams)
    assert isinstance(offered.factory(HostParams(), context), HostSource)
