"""`tocsin simulate`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

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
from tocsin.selection import load_plugins, select_rules, select_rulesets


@click.command()
@config_option
@click.option("--type", "incident_type", required=True, help="The type of incident to bring about.")
@click.option(
    "--severity", type=SEVERITIES, help="The events' severity.  [default: that of the rule]"
)
@click.option(
    "--components",
    default="simulated",
    show_default=True,
    help="Where it happens: names, separated by commas.",
)
@click.option(
    "--event-count",
    type=click.IntRange(1, 1_000_000),
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
    rules = select_rules(loaded, select_rulesets(loaded, load_plugins(loaded)))
    rule = _choose(rules, incident_type, rule_id)
    names = [name.strip() for name in components.split(",") if name.strip()]
    made = _events(rule, severity, names or ["simulated"], event_count, time_span)
    if dry_run:
        for event in made:
            click.echo(json_line(event.model_dump(mode="json")))
        return
    with progress("simulate", len(made)) as advance:
        report(run_async(submit(loaded, [made], advance)), style)


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


def _events(
    rule: Rule, severity: str | None, components: list[str], count: int | None, span: int | None
) -> list[IncidentEvent]:
    templates = list(case_events(_firing_case(rule)))
    wanted = count or len(templates) * len(components)
    own = (templates[-1].timestamp - templates[0].timestamp) // timedelta(microseconds=1)
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
        made.append(IncidentEvent.model_validate({**dict(template), **changes}))
    return made
