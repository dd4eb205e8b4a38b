"""`tocsin status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tocsin.cli.options import (
    config_option,
    existing_database,
    format_option,
    read_config,
    run_async,
)
from tocsin.cli.output import cell, write_json, write_rows
from tocsin.errors import StoreError
from tocsin.settings import Loaded
from tocsin.store.database import Database
from tocsin.store.ownership import OwnedElsewhereError, Ownership
from tocsin.store.queries import IncidentFilter, list_incidents, quarantined_events, stream_status

_COLUMNS = ("stream", "running", "accepted", "evaluated", "watermark", "updated_at")


@click.command()
@config_option
@format_option
def status(config: Path | None, style: str) -> None:
    """Show how the journals and their managers are doing."""
    loaded = read_config(config)
    report = run_async(_read(loaded))
    if style == "json":
        write_json(report)
        return
    write_rows(report["streams"], _COLUMNS, style, empty="no journal yet")
    if style == "csv":
        return
    click.echo(f"active incidents: {report['active_incidents']}")
    for stream in report["streams"]:
        _say_more(stream)


async def _read(loaded: Loaded) -> dict[str, Any]:
    async with existing_database(loaded) as database:
        streams = await stream_status(database)
        active = await list_incidents(database, IncidentFilter(statuses=("active",)))
        for stream in streams:
            stream["running"] = await _is_running(database, stream["stream"])
            stream["watermark"] = stream.pop("now")
            # The journal knows better than what was counted before the last check-point.
            counts = {name: stream[name] for name in ("accepted", "evaluated")}
            counts["waiting"] = stream["accepted"] - stream["evaluated"]
            stream["statistics"].setdefault("events", {}).update(counts)
            stream["quarantined"] = await quarantined_events(database, stream["stream"], 5)
    return {"streams": streams, "active_incidents": len(active)}


async def _is_running(database: Database, stream: str) -> bool | None:
    """Say whether a manager evaluates a stream; None where that cannot be found out."""
    ownership = Ownership(database, stream)
    try:
        await ownership.acquire(patience=0)
    except OwnedElsewhereError:
        return True
    except StoreError as error:
        return False if isinstance(error.__cause__, FileNotFoundError) else None
    await ownership.release()
    return False


def _say_more(stream: dict[str, Any]) -> None:
    statistics = stream["statistics"]
    name = stream["stream"]
    for section in ("events", "engine", "notifications"):
        counts = {key: value for key, value in statistics.get(section, {}).items() if value}
        if counts:
            click.echo(f"{name} {section}: {cell(counts)}")
    for source, counts in statistics.get("sources", {}).items():
        reports = counts.pop("reports", [])
        click.echo(f"{name} source {source}: {cell(counts)}")
        for report in reports:
            click.echo(f"  {cell(report)}")
    for event in stream["quarantined"]:
        click.echo(f"{name} quarantined {cell(event['event_id'])}: {cell(event['reason'])}")
