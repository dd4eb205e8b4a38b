"""What tests of hosts and plugins need: a clock that stands still, and suites that plugins pass."""

from __future__ import annotations

from tocsin.testing.clock import FakeClock
from tocsin.testing.contracts import NotifierContract, SourceContract

__all__ = ["FakeClock", "NotifierContract", "SourceContract"]
