"""A daemon that works off jobs, with Tocsin in its event loop.

Run it with `python main.py`; Ctrl-C or SIGTERM stops it. Its database is made where it is started.
"""

import asyncio
import itertools
import signal
import uuid
from datetime import UTC, datetime

from tocsin import Incident, IncidentEvent, IncidentManager, IncidentSeverity, hookimpl


class Told:
    """A plugin without a package: an object with hooks."""

    @hookimpl
    async def tocsin_incident_changed(self, incident: Incident, change: str) -> None:
        """Hear of every change of an incident."""
        print(f"{change}: {incident.severity} {incident.title}", flush=True)


async def do_job(number: int) -> None:
    """Do a job; every third goes wrong."""
    await asyncio.sleep(0.01)
    if number % 3 == 0:
        raise ConnectionError("the printer does not answer")


async def work(manager: IncidentManager) -> None:
    """Do jobs until cancelled, and report those that go wrong."""
    for number in itertools.count(1):
        try:
            await do_job(number)
        except ConnectionError as error:
            event = IncidentEvent(
                event_id=uuid.uuid4().hex,
                timestamp=datetime.now(tz=UTC),
                event_type="error",
                source="printing",
                severity=IncidentSeverity.MEDIUM,
                message=f"job {number}: {error}",
            )
            await manager.submit_event(event)  # returns once the event is durable


async def main() -> None:
    """Run until a signal comes: the process is ours, so the signals are too."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with IncidentManager({"database": "printing.db"}, plugins=[Told()]) as manager:
        worker = asyncio.create_task(work(manager))
        await manager.wait_failed_or(stop)
        worker.cancel()


if __name__ == "__main__":
    asyncio.run(main())
