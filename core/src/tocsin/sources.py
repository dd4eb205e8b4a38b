"""Runs the configured sources: what they bring is submitted; one that fails is started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin.capabilities import Source, SourceContext
from tocsin.clock import Clock
from tocsin.errors import clean, describe
from tocsin.models import IncidentEvent
from tocsin.references import redact

_log = logging.getLogger(__name__)
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_REPORTS = 5

Submit = Callable[[Sequence[IncidentEvent], dict[str, str]], Awaitable[int]]


@dataclass(slots=True)
class SourceStatus:
    """How a source is doing."""

    events: int = 0
    skipped: int = 0
    """Input that could not be made into events."""
    restarts: int = 0
    reports: list[str] = field(default_factory=list)
    """What it last had to say."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """What must not be in it."""

    def report(self, message: str) -> None:
        """Keep what the source says, the newest last."""
        said = clean(redact(message, self.secrets))
        self.reports = [*self.reports[-(_REPORTS - 1) :], said]


async def run_source(
    name: str,
    make: Callable[[SourceContext], Source],
    *,
    clock: Clock,
    directory: Path,
    cursor: Callable[[str], Awaitable[str | None]],
    submit: Submit,
    status: SourceStatus,
    run: Callable[..., Awaitable[Any]],
) -> None:
    """Run one source for ever; after a failure it goes on from its stored cursor."""
    wait = _FIRST_WAIT
    context = SourceContext(clock=clock, directory=directory, report=status.report, run=run)
    while True:
        try:
            batches = make(context).batches(await cursor(name))
            async with contextlib.AsyncExitStack() as stack:
                if isinstance(batches, AsyncGenerator):
                    # So that its files are closed now, not when it is collected.
                    await stack.enter_async_context(contextlib.aclosing(batches))
                async for batch in batches:
                    cursor_of = {name: batch.cursor} if batch.cursor is not None else {}
                    if batch.events or cursor_of:
                        status.events += await submit(batch.events, cursor_of)
                    status.skipped += batch.skipped
                    wait = _FIRST_WAIT
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            status.restarts += 1
            status.report(describe(error))
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; others go on
            status.restarts += 1
            status.report(describe(error))
            _log.warning(
                "source %r failed and is started again in %g s: %s", name, wait, status.reports[-1]
            )
        else:
            status.report("ended; started again")
        await clock.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)
