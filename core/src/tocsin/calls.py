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

from tocsin.errors import PluginError

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
            PluginError: it raised CancelledError or, from a thread, StopIteration by itself.
            Exception: whatever it raises.
        """
        try:
            return await self._run(function, *args, **named)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled us: the function let this out, and it must not end who called.
            raise PluginError("it was cancelled from within", plugin="") from error
        except SystemExit as error:
            raise PluginError(f"it wanted to exit with {error.code}", plugin="") from error

    async def _run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        async with asyncio.timeout(self._timeout):
            if _is_async(function):
                return await function(*args, **named)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="tocsin-plugin")
            loop = asyncio.get_running_loop()
            call = functools.partial(_in_a_thread, function, *args, **named)
            future = loop.run_in_executor(self._executor, call)
            try:
                result = await future
            except asyncio.CancelledError:
                self.abandoned += 1
                raise
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise PluginError("a `def` gave something to be awaited", plugin="")
            return result

    async def close(self) -> None:
        """Let the threads end; one that is stuck is left behind."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=self.abandoned == 0, cancel_futures=True)


def _in_a_thread(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    try:
        return function(*args, **named)
    except StopIteration as error:
        # No future takes it, so that nobody would ever hear of it.
        raise PluginError("it raised StopIteration", plugin="") from error


def _is_async(function: Callable[..., Any]) -> bool:
    """Tell the colour of a function, or of what makes an object callable."""
    plain = inspect.unwrap(function)
    return inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
        getattr(plain, "__call__", None)  # noqa: B004 - the method itself is looked at
    )
