"""A source that watches the machine it runs on: memory, disks, load, zombie processes."""

from tocsin_host.params import HostParams
from tocsin_host.source import HostSource

__all__ = ["HostParams", "HostSource"]
