"""`tocsin incidents`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tocsin.cli.exits import WrongError
from tocsin.cli.groups import Group
from tocsin.cli.options import (
    SEVERITIES,
    SINCE,
    STATUSES,
    config_option,
    existing_database,
    format_option,
    json_option,
    read_config,
    run_async,
)
from tocsin.cli.output import cell, write_json, write_rows
from tocsin.models import Incident, IncidentSeverity
from tocsin.settings import Loaded
from tocsin.statistics import IncidentStatistics
from tocsin.store.database import Database
from tocsin.store.queries import (
    IncidentFilter,
    find_incidents,
    get_incident,
    list_incidents,
)

_LIST = ("id", "severity", "status", "type", "title", "components", "events", "detected_at")
_TIMELINE = ("at", "kind", "source", "text")
_MANY = 100_000


@click.group(cls=Group)
def incidents() -> None:
    """List incidents and look into them."""


@incidents.command("list")
@config_option
@click.option(
    "--status",
    "statuses",
    type=STATUSES,
    multiple=True,
    help="Only of this status; may be repeated.",
)
@click.option("--severity", type=SEVERITIES, help="Only of this severity.")
@click.option("--type", "incident_type", help="Only of this type.")
@click.option("--component", help="Only those that affect this component.")
@click.option(
    "--since", type=SINCE, help="Only those detected since: a span such as 24h, or a date (UTC)."
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MANY),
    default=50,
    show_default=True,
    help="How many at most.",
)
@format_option
def list_(
    config: Path | None,
    statuses: tuple[str, ...],
    severity: str | None,
    incident_type: str | None,
    component: str | None,
    since: datetime | None,
    limit: int,
    style: str,
) -> None:
    """List incidents, newest first."""
    wanted = IncidentFilter(
        statuses=statuses,
        severity=IncidentSeverity(severity) if severity else None,
        type=incident_type,
        component=component,
        since=since,
        limit=limit,
    )
    found = run_async(_list(read_config(config), wanted))
    rows = [_row(incident, whole=style == "json") for incident in found]
    write_rows(rows, _LIST, style, empty="no incidents")


async def _list(loaded: Loaded, wanted: IncidentFilter) -> list[Incident]:
    async with existing_database(loaded) as database:
        return await list_incidents(database, wanted)


def _row(incident: Incident, *, whole: bool) -> dict[str, Any]:
    if whole:
        return _brief(incident)
    return {
        "id": incident.id,
        "severity": incident.severity,
        "status": incident.status,
        "type": incident.type,
        "title": incident.title,
        "components": incident.affected_components,
        "events": incident.event_count,
        "detected_at": incident.detected_at,
    }


def _brief(incident: Incident) -> dict[str, Any]:
    """Give an incident without what was not read, or is asked for by an option."""
    whole = incident.to_dict()
    return {
        name: value
        for name, value in whole.items()
        if name not in ("events", "timeline", "post_mortem")
    }


@incidents.command()
@config_option
@click.argument("incident_id", metavar="ID")
@click.option("--timeline", is_flag=True, help="With its timeline.")
@click.option("--postmortem", is_flag=True, help="With its post-mortem.")
@click.option("--full", is_flag=True, help="With everything, its events too.")
@json_option
def get(
    config: Path | None,
    incident_id: str,
    timeline: bool,
    postmortem: bool,
    full: bool,
    style: str,
) -> None:
    """Show one incident; the beginning of its ID is enough."""
    incident = run_async(_get(read_config(config), incident_id))
    if style == "json":
        shown = incident.to_dict() if full else _brief(incident)
        if timeline and not full:
            shown["timeline"] = incident.to_dict()["timeline"]
        if postmortem and not full:
            shown["post_mortem"] = incident.post_mortem
        write_json(shown)
        return
    _show(incident)
    if timeline or full:
        _show_timeline(incident, "table")
    if postmortem or full:
        click.echo(incident.post_mortem or "no post-mortem has been written")
    if full:
        rows = [{**event.model_dump(), "metadata": event.metadata} for event in incident.events]
        columns = ("timestamp", "event_type", "source", "severity", "message", "event_id")
        write_rows(rows, columns, "table", empty="no events are kept")


def _show(incident: Incident) -> None:
    click.echo(f"{incident.id}  {incident.severity.value}  {incident.status.value}")
    click.echo(cell(incident.title))
    facts = {
        "type": incident.type,
        "rule": incident.rule_id,
        "components": incident.affected_components,
        "group": incident.group,
        "events": incident.event_count,
        "detections": incident.detection_count,
        "first event": incident.first_event_at,
        "detected": incident.detected_at,
        "acknowledged": incident.acknowledged_at,
        "condition over": incident.cleared_at,
        "resolved": incident.resolved_at,
        "closed": incident.closed_at,
        "assignee": incident.assignee,
        "root cause": incident.root_cause,
        "recommended": incident.recommended_actions,
        "description": incident.description,
    }
    for name, value in facts.items():
        if value not in (None, "", (), {}):
            click.echo(f"  {name + ':':<16}{cell(value)}")


async def _get(loaded: Loaded, start: str) -> Incident:
    async with existing_database(loaded) as database:
        return await _one(database, start)


async def _one(database: Database, start: str) -> Incident:
    ids = await find_incidents(database, start)
    if start in ids:
        ids = [start]
    if len(ids) > 1:
        raise WrongError(f"{start!r} is the beginning of several ids: {', '.join(ids)}")
    incident = await get_incident(database, ids[0]) if ids else None
    if incident is None:
        raise WrongError(f"there is no incident {start!r}; `tocsin incidents list` shows them")
    return incident


@incidents.command("timeline")
@config_option
@click.argument("incident_id", metavar="ID")
@click.option("--event-type", help="Only events of this type.")
@click.option("--source", help="Only entries of this source.")
@click.option("--limit", type=click.IntRange(1, _MANY), help="How many at most, the newest.")
@format_option
def timeline_(
    config: Path | None,
    incident_id: str,
    event_type: str | None,
    source: str | None,
    limit: int | None,
    style: str,
) -> None:
    """Show the story of an incident, oldest first."""
    incident = run_async(_get(read_config(config), incident_id))
    entries = [
        entry
        for entry in incident.timeline
        if (event_type is None or entry.data.get("event_type") == event_type)
        and (source is None or entry.source == source)
    ]
    entries = entries[-limit:] if limit is not None else entries
    _show_timeline(incident.model_copy(update={"timeline": tuple(entries)}), style)


def _show_timeline(incident: Incident, style: str) -> None:
    rows = [
        {**entry.model_dump(mode="json" if style == "json" else "python")}
        for entry in incident.timeline
    ]
    write_rows(rows, _TIMELINE, style, empty="the timeline has no such entry")


@incidents.command()
@config_option
@click.option(
    "--since",
    type=SINCE,
    help="Only those detected since: a span such as 24h or 7d, or a date (UTC).",
)
@click.option("--by-type", is_flag=True, help="Count by type.")
@click.option("--by-severity", is_flag=True, help="Count by severity.")
@format_option
def stats(
    config: Path | None,
    since: datetime | None,
    by_type: bool,
    by_severity: bool,
    style: str,
) -> None:
    """Show how many incidents there were, and how long they took."""
    found = run_async(_list(read_config(config), IncidentFilter(since=since)))
    statistics = IncidentStatistics()
    statistics.load(found)
    summary = statistics.summary()
    if style == "json":
        write_json(summary)
        return
    single = {name: value for name, value in summary.items() if not isinstance(value, dict)}
    wanted = [
        ("by_severity", by_severity),
        ("by_type", by_type),
        ("by_status", not (by_type or by_severity)),
    ]
    rows = [
        {"figure": name, "value": _figure(name, value, style)} for name, value in single.items()
    ]
    for name, asked in wanted:
        word = name.removeprefix("by_")
        rows += [
            {"figure": f"{word} {key}", "value": count}
            for key, count in summary[name].items()
            if asked
        ]
    write_rows(rows, ("figure", "value"), style, empty="no incidents")


def _figure(name: str, value: Any, style: str) -> Any:
    if value is None:
        return None if style == "csv" else "-"
    return f"{value:.1f}" if name.endswith("_seconds") else value
