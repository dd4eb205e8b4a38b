"""A web application that reports its own trouble, with Tocsin in its lifespan.

Run it with `uvicorn main:app`. Its database is made where it is started.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from tocsin import Incident, IncidentEvent, IncidentManager, hookimpl


class Incidents(dict[str, Incident]):
    """The incidents since the start, by id; a plugin that hears of their changes."""

    @hookimpl
    async def tocsin_incident_changed(self, incident: Incident) -> None:
        """Keep the incident as it is now."""
        self[incident.id] = incident


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start the manager with the application, and stop it with it."""
    app.state.incidents = Incidents()
    settings = {"database": "orders.db"}
    async with IncidentManager(settings, plugins=[app.state.incidents]) as app.state.manager:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{number}")
async def place(number: int, request: Request) -> dict[str, int]:
    """Place an order; those with odd numbers fail."""
    if number % 2 == 0:
        return {"order": number}
    event = IncidentEvent(
        event_id=uuid.uuid4().hex,
        timestamp=datetime.now(tz=UTC),
        event_type="api_error",
        source="orders",
        message=f"order {number}: the payment service does not answer",
    )
    await request.app.state.manager.submit_event(event)
    raise HTTPException(502, "the payment service does not answer")


@app.get("/incidents")
async def incidents(request: Request) -> list[dict[str, Any]]:
    """List the incidents since the start."""
    return [incident.to_dict() for incident in request.app.state.incidents.values()]
