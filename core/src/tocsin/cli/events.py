"""`tocsin events`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tocsin.cli.groups import Group
from tocsin.cli.options import (
    config_option,
    existing_database,
    format_option,
    json_option,
    read_config,
    run_async,
)
from tocsin.cli.output import cell, counted, progress, write_json, write_rows
from tocsin.cli.process import open_input
from tocsin.cli.submit import Submitted, submit
from tocsin.event_files import read_events
from tocsin.models import Event, IncidentEvent
from tocsin.settings import Loaded
from tocsin.store.queries import last_events

_COLUMNS = ("timestamp", "event_type", "source", "severity", "message", "event_id")
_SHOWN = 5
"""Events named before the rest is only counted."""


@click.group(cls=Group)
def events() -> None:
    """List and submit events."""


@events.command("list")
@config_option
@click.option(
    "--last", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many."
)
@format_option
def list_(config: Path | None, last: int, style: str) -> None:
    """List the newest accepted events, oldest first."""
    found = run_async(_last(read_config(config), last))
    rows = [_row(event) for event in found]
    write_rows(rows, _COLUMNS, style, empty="no events are kept")


async def _last(loaded: Loaded, count: int) -> list[IncidentEvent]:
    async with existing_database(loaded) as database:
        return await last_events(database, loaded.settings.stream, count)


def _row(event: IncidentEvent) -> dict[str, Any]:
    return {**event.model_dump(mode="json"), "timestamp": event.timestamp}


@events.command("submit")
@config_option
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@json_option
def submit_(config: Path | None, file: Path, style: str) -> None:
    """Submit events from FILE, JSON lines; - is standard input.

    Every line is checked before the first event is submitted. A repeated event_id is left out. What
    cannot be judged, such as an event of the far future, is kept aside and named.
    """
    loaded = read_config(config)
    parsed = _read(file)
    with progress("submit", len(parsed)) as advance:
        done = run_async(submit(loaded, parsed, advance))
    report(done, style)


def _read(file: Path) -> list[Event]:
    with open_input(file) as stream:
        return read_events(stream, str(file))


def report(done: Submitted, style: str) -> None:
    """Say what became of submitted events."""
    opened = [
        {
            "id": incident.id,
            "severity": incident.severity.value,
            "type": incident.type,
            "title": incident.title,
        }
        for incident in done.incidents
    ]
    if style == "json":
        write_json(
            {
                "accepted": done.accepted,
                "duplicates": done.duplicates,
                "evaluated": done.evaluated,
                "quarantined": [
                    {"event_id": event_id, "reason": reason}
                    for event_id, reason in done.quarantined
                ],
                "incidents": opened,
            }
        )
        return
    click.echo(f"{counted(done.accepted, 'event')} accepted, {done.duplicates} known already")
    if not done.evaluated:
        click.echo("the running manager has not evaluated them yet; see `tocsin status`")
    for event_id, reason in done.quarantined[:_SHOWN]:
        click.echo(f"kept aside {cell(event_id)}: {cell(reason)}")
    if len(done.quarantined) > _SHOWN:
        click.echo(f"kept aside {len(done.quarantined) - _SHOWN} more")
    write_rows(opened, ("id", "severity", "type", "title"), "table", empty="no incident was opened")
