"""A program without an event loop that reports its trouble: Tocsin runs in a thread."""

import asyncio
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from tocsin import Incident, IncidentEvent, IncidentManager

Result = TypeVar("Result")


class Reporter:
    """A manager in another thread's event loop; any thread may call the methods."""

    def __init__(self, manager: IncidentManager, loop: asyncio.AbstractEventLoop) -> None:
        self._manager, self._loop = manager, loop

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Have work done in the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def report(self, **fields: Any) -> None:
        """Submit an event; when this returns, it is durable."""
        event = IncidentEvent(event_id=uuid.uuid4().hex, timestamp=datetime.now(tz=UTC), **fields)
        self.wait(self._manager.submit_event(event))

    def new_incidents(self) -> list[Incident]:
        """Wait until all that was reported is evaluated; give the incidents opened since."""
        return self.wait(self._manager.check_for_incidents())


@contextmanager
def reporting(config: dict[str, Any]) -> Iterator[Reporter]:
    """Run a manager in a thread of its own."""
    manager, loop = IncidentManager(config), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="incidents")
    thread.start()
    reporter = Reporter(manager, loop)
    try:
        reporter.wait(manager.start())
        yield reporter
    finally:
        reporter.wait(manager.stop())  # does nothing where `start` has failed
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


if __name__ == "__main__":
    with reporting({"database": "backup.db"}) as reporter:
        for copy in range(5):
            message = f"copy {copy}: no answer"
            reporter.report(event_type="service_down", source="tape-drive", message=message)
        for incident in reporter.new_incidents():
            print(incident.severity, incident.title)
