"""The parameters of the source `host`."""

from __future__ import annotations

from pydantic import Field

from tocsin.capabilities import Params
from tocsin.durations import Seconds


class HostParams(Params):
    """What to watch and from where on it is worth an event."""

    interval: Seconds = Field(default=10.0, ge=0.1)
    """The time between two readings."""
    host: str = Field(default="", max_length=256)
    """The source of the events; empty for the name of the machine."""
    memory_percent: float = Field(default=90.0, gt=0, le=100)
    """`memory_high` from this share of memory in use on."""
    swap_percent: float | None = Field(default=None, gt=0, le=100)
    """`swap_high` from this share of swap in use on; without it, swap is not judged."""
    disk_percent: float = Field(default=90.0, gt=0, le=100)
    """`disk_space_low` from this share of a mount in use on."""
    mounts: tuple[str, ...] = ()
    """The mounts to watch; empty for every local disk."""
    ignore_mounts: tuple[str, ...] = ()
    """Mounts to leave out, with the wildcards `*`, `?` and `[...]`."""
    zombie_count: int = Field(default=5, ge=1)
    """`zombie_processes` from this many on."""
    load_per_core: float = Field(default=4.0, gt=0)
    """`load_high` from this one-minute load per core on."""
    samples: bool = True
    """Whether every reading gives a `host.sample` with all its numbers."""
