"""Reads the state of the machine. Blocking: belongs in a worker thread."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import psutil

Result = TypeVar("Result")

# Filesystems without a disk of their own behind them, those that are always full because they are
# read-only images, and those where a server that does not answer would stop the whole reading.
# All of them can still be watched by naming their mount.
_NO_LOCAL_DISK = frozenset(
    {
        "9p",
        "autofs",
        "binfmt_misc",
        "bpf",
        "ceph",
        "cgroup",
        "cgroup2",
        "cifs",
        "configfs",
        "cramfs",
        "debugfs",
        "devfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "erofs",
        "fdescfs",
        "fusectl",
        "glusterfs",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nfs",
        "nfs4",
        "nsfs",
        "proc",
        "procfs",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "smb3",
        "smbfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "tracefs",
        "udf",
    }
)
_UNREADABLE = (OSError, psutil.Error, RuntimeError, RuntimeWarning)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something is in use."""

    percent: float
    free_bytes: int
    """What can still be had; for memory, without swapping."""
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """One mount."""

    mount: str
    share: Share


@dataclass(frozen=True, slots=True)
class Zombie:
    """A process that has ended and whose parent has not asked how."""

    pid: int
    parent: int


@dataclass(frozen=True, slots=True)
class Load:
    """How many processes want to run, over one, five and fifteen minutes."""

    one: float
    five: float
    fifteen: float
    cores: int

    @property
    def per_core(self) -> float:
        """The one-minute load for each core."""
        return self.one / self.cores


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine at one moment. What could not be read is None or left out, and said."""

    memory: Share | None
    swap: Share | None
    load: Load | None
    disks: tuple[Disk, ...]
    zombies: tuple[Zombie, ...]
    troubles: tuple[str, ...] = ()
    """What could not be read and why, in words that stay the same while the cause does."""


def read(*, mounts: Sequence[str] = (), ignore_mounts: Sequence[str] = ()) -> Reading:
    """Read everything once.

    Args:
        mounts: what to measure; empty for every local disk.
        ignore_mounts: wildcards of mounts to leave out.
    """
    troubles: list[str] = []
    chosen = mounts or _attempt("the list of mounts", _local_mounts, troubles) or ()
    wanted = [m for m in chosen if not any(fnmatch.fnmatchcase(m, i) for i in ignore_mounts)]
    return Reading(
        memory=_attempt("memory", _memory, troubles),
        swap=_attempt("swap", _swap, troubles),
        load=_attempt("load", _load, troubles),
        disks=tuple(_disks(wanted, troubles)),
        zombies=_attempt("processes", _zombies, troubles) or (),
        troubles=tuple(troubles),
    )


def name_of(pid: int) -> str:
    """Give the name of a process, or an empty string where it is gone or hidden."""
    try:
        return str(psutil.Process(pid).name())
    except _UNREADABLE:
        return ""


def _attempt(what: str, call: Callable[[], Result], troubles: list[str]) -> Result | None:
    try:
        return call()
    except _UNREADABLE as error:
        troubles.append(f"cannot read {what}: {_reason(error)}")
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _memory() -> Share:
    found = psutil.virtual_memory()
    return Share(float(found.percent), int(found.available), int(found.total))


def _swap() -> Share:
    found = psutil.swap_memory()
    return Share(float(found.percent), int(found.free), int(found.total))


def _load() -> Load:
    one, five, fifteen = psutil.getloadavg()
    return Load(one, five, fifteen, psutil.cpu_count() or 1)


def _zombies() -> tuple[Zombie, ...]:
    found = (
        Zombie(process.pid, process.info["ppid"] or 0)
        for process in psutil.process_iter(["ppid", "status"])
        if process.info["status"] == psutil.STATUS_ZOMBIE
    )
    return tuple(sorted(found, key=lambda zombie: zombie.pid))


def _local_mounts() -> Sequence[str]:
    shortest: dict[str, str] = {}
    for partition in psutil.disk_partitions(all=True):
        mount, kind = partition.mountpoint, partition.fstype.lower()
        if not kind or kind in _NO_LOCAL_DISK or kind.startswith("fuse"):
            continue
        # A container's own root is worth watching; those of the containers on a host are not.
        if kind == "overlay" and mount != "/":
            continue
        # A bind mount shows the same disk again.
        known = shortest.setdefault(partition.device, mount)
        if (len(mount), mount) < (len(known), known):
            shortest[partition.device] = mount
    return sorted(set(shortest.values()))


def _disks(mounts: Iterable[str], troubles: list[str]) -> Iterable[Disk]:
    for mount in mounts:
        share = _attempt(f"mount {mount}", partial(_usage, mount), troubles)
        if share is not None:
            yield Disk(mount, share)


def _usage(mount: str) -> Share:
    found = psutil.disk_usage(mount)
    return Share(float(found.percent), int(found.free), int(found.total))
