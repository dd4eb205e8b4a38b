"""`tocsin simulate`."""

from __future__ import annotations

import math
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from tocsin.cli.effective import effective_rules
from tocsin.cli.events import report
from tocsin.cli.options import (
    DURATION,
    SEVERITIES,
    config_option,
    json_option,
    read_config,
    run_async,
)
from tocsin.cli.output import json_line, progress
from tocsin.cli.submit import submit
from tocsin.clock import SystemClock
from tocsin.errors import ConfigError, nearest
from tocsin.models import IncidentEvent
from tocsin.rules.cases import case_events
from tocsin.rules.schema import Rule
from tocsin.validation import shown

_MOST = 1_000_000
"""Events made at once at most."""


@click.command()
@config_option
@click.option("--type", "incident_type", required=True, help="The type of incident to bring about.")
@click.option(
    "--severity",
    type=SEVERITIES,
    help="The events' severity.  [default: as in the rule's test, else that of the rule]",
)
@click.option(
    "--components",
    default="",
    help="Where it happens: names, separated by commas.  [default: as many as the rule needs]",
)
@click.option(
    "--event-count",
    type=click.IntRange(1, _MOST),
    help="How many events.  [default: as many as the rule needs]",
)
@click.option(
    "--time-span",
    type=DURATION,
    help="From the first to the last event.  [default: as in the rule's test]",
)
@click.option("--rule", "rule_id", help="The rule to aim at, where several are of the type.")
@click.option(
    "--dry-run", is_flag=True, help="Print the events as JSON lines instead of submitting them."
)
@json_option
def simulate(
    config: Path | None,
    incident_type: str,
    severity: str | None,
    components: str,
    event_count: int | None,
    time_span: int | None,
    rule_id: str | None,
    dry_run: bool,
    style: str,
) -> None:
    """Submit made-up events to see what comes of them.

    The events are those of a rule's own test that makes it fire, spread over the components. They
    carry `metadata.simulated: true`.
    """
    loaded = read_config(config)
    rule = _choose(effective_rules(loaded), incident_type, rule_id)
    names = [name.strip() for name in components.split(",") if name.strip()] or _components(rule)
    made = _events(rule, severity, names, event_count, time_span)
    if dry_run:
        for event in made:
            click.echo(json_line(event.model_dump(mode="json")))
        return
    with progress("simulate", len(made)) as advance:
        report(run_async(submit(loaded, made, advance)), style)


def _choose(rules: tuple[Rule, ...], incident_type: str, rule_id: str | None) -> Rule:
    fitting = [
        rule
        for rule in rules
        if rule.enabled and rule.incident_type == incident_type and _firing_case(rule)
    ]
    if not fitting:
        known = sorted({rule.incident_type for rule in rules if _firing_case(rule)})
        hint = nearest(incident_type, known) or f"; known: {', '.join(known)}"
        raise ConfigError.of(
            f"no enabled rule with a test opens {incident_type!r}{hint}", path="--type"
        )
    if rule_id is None:
        return min(fitting, key=lambda rule: (rule.id != incident_type, rule.id))
    chosen = next((rule for rule in fitting if rule.id == rule_id), None)
    if chosen is None:
        names = [rule.id for rule in fitting]
        message = f"no rule {rule_id!r} opens {incident_type!r}{nearest(rule_id, names)}"
        raise ConfigError.of(f"{message}; choose from: {', '.join(names)}", path="--rule")
    return chosen


def _firing_case(rule: Rule) -> Any:
    return next((case for case in rule.tests if case.expect), None)


def _components(rule: Rule) -> list[str]:
    """Name as many components as the rule needs."""
    needed = rule.min_components or 1
    return [f"simulated-{n}" for n in range(1, needed + 1)] if needed > 1 else ["simulated"]


def _events(
    rule: Rule, severity: str | None, components: list[str], count: int | None, span: int | None
) -> list[IncidentEvent]:
    case = _firing_case(rule)
    templates = list(case_events(case))
    written = any("severity" in (event.model_extra or {}) for event in case.events)
    severity = severity or (None if written else rule.severity.value)
    wanted = count or max(len(templates), _needed(rule)) * len(components)
    own = (templates[-1].timestamp - templates[0].timestamp) // timedelta(microseconds=1)
    if rule.windowed:
        own = min(own, rule.within)  # an operator may have made it shorter than in the test
    step = (span if span is not None else own) / max(wanted - 1, 1)
    end, run = SystemClock().now(), uuid.uuid4().hex[:12]
    made = []
    for index in range(wanted):
        # Each component gets the events of the test in their order.
        component, turn = components[index % len(components)], index // len(components)
        template = templates[turn % len(templates)]
        changes: dict[str, Any] = {
            "event_id": f"sim-{run}-{index}",
            "timestamp": end - timedelta(microseconds=round(step * (wanted - 1 - index))),
            "source": component,
            "metadata": {**template.metadata, "simulated": True, "component": component},
        }
        if severity is not None:
            changes["severity"] = severity
        try:
            made.append(IncidentEvent.model_validate({**dict(template), **changes}))
        except ValidationError as error:
            message = f"no event can have the component {shown(component)}"
            raise ConfigError.of(message, path="--components") from error
    return made


def _needed(rule: Rule) -> int:
    """Give how many events the rule counts before it fires."""
    bound = rule.threshold()
    if bound is None or rule.aggregations[0].name != "count":
        return 1
    operator, number = bound
    return min(math.floor(number) + 1 if operator == "gt" else math.ceil(number), _MOST)
