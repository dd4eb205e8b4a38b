"""Lets go of events that are older than the settings want and that nothing needs any more."""

from __future__ import annotations

import logging

from tocsin.clock import SECOND, Clock, to_micros
from tocsin.errors import StoreError
from tocsin.rules.engine import Engine
from tocsin.store.journal import Journal
from tocsin.store.results import Results

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 30.0


async def let_go(
    journal: Journal, results: Results, engine: Engine, clock: Clock, *, retention_seconds: float
) -> int:
    """Delete blocks of the journal once; gives how many.

    A block stays while its events are younger than the retention in event time, while a window
    could still need them after a crash, while it is not evaluated, and while its ids could come
    again.
    """
    if engine.now is None or results.position is None:
        return 0
    needed = max(round(retention_seconds * SECOND), engine.reach)
    return await journal.let_go(
        before=engine.now - needed,
        accepted_before=to_micros(clock.now()) - journal.horizon.within,
        evaluated=results.position,
    )


async def run_retention(
    journal: Journal, results: Results, engine: Engine, clock: Clock, *, retention_seconds: float
) -> None:
    """Delete what is not needed, again and again, until cancelled."""
    while True:
        try:
            await let_go(journal, results, engine, clock, retention_seconds=retention_seconds)
        except StoreError as error:
            _log.warning("old events are not deleted: %s", error)
        await clock.sleep(_EVERY_SECONDS)
