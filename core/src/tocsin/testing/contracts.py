"""Suites that every plugin of a kind passes: subclass one and say how to make yours.

A suite's own tests must not be overridden; what a plugin does on top is tested beside it.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest
from pydantic import ValidationError

from tocsin import hookspecs
from tocsin.calls import Calls
from tocsin.capabilities import NotifierPlugin, SourceContext, SourcePlugin
from tocsin.errors import Retryable
from tocsin.hookspecs import PROJECT
from tocsin.models import IncidentEvent, IncidentSeverity, IncidentStatus, Notice
from tocsin.testing.clock import FakeClock

_HOSTILE = "a\nb\x1b[31m{{ 7*7 }} %s {0} $(id) \N{REPLACEMENT CHARACTER}" + "x" * 2000


class _Contract:
    """What the suites share."""

    plugin: ClassVar[Any]
    """The module (or object) with the hook implementations."""
    name: ClassVar[str]
    """The capability's name."""
    params: ClassVar[dict[str, Any]] = {}
    """Parameters, as in tocsin.yaml."""

    def _descriptors(self, hook: str) -> dict[str, Any]:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(self.plugin)
        manager.check_pending()
        return {item.name: item for found in getattr(manager.hook, hook)() for item in found}

    def _check_params(self, descriptor: Any) -> Any:
        with pytest.raises(ValidationError):
            descriptor.params.model_validate({**self.params, "no_such_parameter": 1})
        return descriptor.params.model_validate(self.params)

    def test_no_suite_test_is_overridden(self) -> None:
        """A suite that a plugin could change would say nothing."""
        for base in type(self).__mro__[1:]:
            if base.__module__ != __name__:
                continue
            for test in (name for name in vars(base) if name.startswith("test_")):
                assert getattr(type(self), test) is getattr(base, test), f"{test} is overridden"


class NotifierContract(_Contract):
    """What every notifier keeps to."""

    def _descriptor(self) -> NotifierPlugin:
        found = self._descriptors("tocsin_notifiers").get(self.name)
        assert isinstance(found, NotifierPlugin), f"no notifier {self.name!r} is registered"
        return found

    def test_it_describes_itself(self) -> None:
        """A list of plugins shows one line for it, and unknown parameters are refused."""
        descriptor = self._descriptor()
        assert descriptor.summary.strip()
        assert "\n" not in descriptor.summary
        self._check_params(descriptor)

    @pytest.mark.parametrize("severity", list(IncidentSeverity))
    def test_it_sends_or_says_why_not(self, severity: IncidentSeverity) -> None:
        """`send` returns when it is done, or raises; hostile text is only text."""
        descriptor = self._descriptor()
        notifier = descriptor.factory(self._check_params(descriptor))

        async def send() -> None:
            calls = Calls(timeout=30)
            try:
                answer = await calls.run(notifier.send, _notice(severity))
                assert answer is not False, "a failure must be raised, not returned"
            except Retryable:
                pass
            finally:
                await calls.close()

        asyncio.run(send())

    def test_nothing_is_left_behind(self) -> None:
        """No thread and no task outlives the sending."""
        before = set(threading.enumerate())
        self.test_it_sends_or_says_why_not(IncidentSeverity.LOW)
        assert set(threading.enumerate()) <= before

    def test_send_can_be_called(self) -> None:
        """`send` takes a notice and nothing else."""
        descriptor = self._descriptor()
        notifier = descriptor.factory(self._check_params(descriptor))
        assert len(inspect.signature(notifier.send).parameters) == 1


class SourceContract(_Contract):
    """What every source keeps to."""

    @pytest.fixture
    def context(self, tmp_path: Path) -> SourceContext:
        """Give what a source works with."""
        return SourceContext(clock=FakeClock(), directory=tmp_path)

    def _descriptor(self) -> SourcePlugin:
        found = self._descriptors("tocsin_sources").get(self.name)
        assert isinstance(found, SourcePlugin), f"no source {self.name!r} is registered"
        return found

    def test_it_describes_itself(self) -> None:
        """A list of plugins shows one line for it, and unknown parameters are refused."""
        descriptor = self._descriptor()
        assert descriptor.summary.strip()
        self._check_params(descriptor)

    def test_it_can_be_cancelled(self, context: SourceContext) -> None:
        """A source ends at once when it is cancelled, and leaves no thread behind."""
        descriptor = self._descriptor()
        params = self._check_params(descriptor)

        async def read() -> None:
            async def batches() -> None:
                async for batch in descriptor.factory(params, context).batches(None):
                    assert all(isinstance(event, IncidentEvent) for event in batch.events)

            task = asyncio.create_task(batches())
            await asyncio.sleep(0.1)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done, "the source does not end when it is cancelled"
            if not task.cancelled():
                raise task.exception() or AssertionError("the source ended by itself")

        asyncio.run(read())

    def test_patterns_never_fail_on_a_line(self) -> None:
        """A line pattern gives events or nothing, whatever the line."""
        for factory in self._descriptor().patterns().values():
            pattern = factory(year=2026, timezone=UTC)
            for number, line in enumerate(("", "\x00", _HOSTILE, "{", "[" * 5000)):
                for event in pattern.parse(line, number=number, origin="origin"):
                    assert isinstance(event, IncidentEvent)


def _notice(severity: IncidentSeverity) -> Notice:
    return Notice(
        notice_id="inc_0:opened:2026-01-01T00:00:00Z",
        incident_id="inc_0",
        change="opened",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        severity=severity,
        status=IncidentStatus.DETECTED,
        incident_type="error_burst",
        title=_HOSTILE,
        text=_HOSTILE,
        components=("api", _HOSTILE[:200]),
    )
