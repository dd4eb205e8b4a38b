"""The only place where a plugin's code is entered while a manager runs.

The function's colour decides, before it is called: `async def` runs on the loop, `def` in a worker
thread of our own, so that a plugin which blocks cannot stop the host's loop.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_THREADS = 4


class Calls:
    """Runs functions of plugins, each with a time limit."""

    def __init__(self, *, timeout: float = 30.0) -> None:
        """Prepare; threads start when they are needed.

        Args:
            timeout: seconds that a call may take.
        """
        self.abandoned = 0
        """Calls in threads that took too long: a thread cannot be ended from outside."""
        self._timeout = timeout
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a function and wait for its result.

        Raises:
            TimeoutError: it took too long.
            Exception: whatever it raises.
        """
        async with asyncio.timeout(self._timeout):
            if inspect.iscoroutinefunction(inspect.unwrap(function)):
                return await function(*args, **named)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="tocsin-plugin")
            loop = asyncio.get_running_loop()
            call = functools.partial(function, *args, **named)
            future = loop.run_in_executor(self._executor, call)
            try:
                return await future
            except asyncio.CancelledError:
                self.abandoned += 1
                raise

    async def close(self) -> None:
        """Let the threads end; one that is stuck is left behind."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=self.abandoned == 0, cancel_futures=True)
