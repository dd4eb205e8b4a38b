"""`tocsin rules`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tocsin.cli.effective import chosen_rulesets, effective_rules, stored_changes
from tocsin.cli.groups import Group
from tocsin.cli.options import (
    DURATION,
    SEVERITIES,
    config_option,
    database_of,
    format_option,
    json_option,
    read_config,
    run_async,
)
from tocsin.cli.output import cell, counted, json_line, progress, write_json, write_rows
from tocsin.cli.process import open_input
from tocsin.clock import SystemClock
from tocsin.durations import format_duration
from tocsin.errors import ConfigError, nearest
from tocsin.event_files import parse_json_lines, read_lines
from tocsin.replay import Replay
from tocsin.rules.cases import run_cases
from tocsin.rules.conditions import All, AnyOf, Comparison, Condition, Not, Other
from tocsin.rules.engine import Engine
from tocsin.rules.fields import format_path
from tocsin.rules.loader import load_files
from tocsin.rules.matcher import InlineMatcher
from tocsin.rules.schema import Rule
from tocsin.selection import select_rules
from tocsin.settings import Loaded, RuleSettings
from tocsin.validation import validate
from tocsin.yamlfile import from_mapping

_SHOWN = 5
"""Names or problems shown before the rest is only counted."""
_LIST = ("id", "enabled", "incident_type", "severity", "threshold", "within", "ruleset")


@click.group(cls=Group)
def rules() -> None:
    """List, change, lint and test detection rules."""


def _find(found: Sequence[Rule], rule_id: str, wanted: str = "rule") -> Rule:
    by_id = {rule.id: rule for rule in found}
    if rule_id not in by_id:
        message = f"there is no {wanted} {rule_id!r}{nearest(rule_id, by_id)}"
        raise ConfigError.of(message, path="rules")
    return by_id[rule_id]


@rules.command("list")
@config_option
@click.option("--enabled", is_flag=True, help="Only those that are enabled.")
@format_option
def list_(config: Path | None, enabled: bool, style: str) -> None:
    """List the rules."""
    found = sorted(effective_rules(read_config(config)), key=lambda rule: rule.id)
    rows = [_row(rule) for rule in found if rule.enabled or not enabled]
    write_rows(rows, _LIST, style, empty="no rules")


def _row(rule: Rule) -> dict[str, Any]:
    bound = rule.threshold()
    return {
        "id": rule.id,
        "enabled": rule.enabled,
        "incident_type": rule.incident_type,
        "severity": rule.severity.value,
        "threshold": bound[1] if bound else None,
        "within": format_duration(rule.within) if rule.windowed else None,
        "ruleset": rule.ruleset,
    }


@rules.command()
@config_option
@click.argument("rule_id", metavar="RULE")
@json_option
def show(config: Path | None, rule_id: str, style: str) -> None:
    """Show one rule whole."""
    rule = _find(effective_rules(read_config(config)), rule_id)
    shown = describe(rule)
    if style == "json":
        write_json(shown)
        return
    for name, value in shown.items():
        if value not in (None, "", [], {}, False) or name == "enabled":
            text = value if isinstance(value, str) else json_line(value)
            click.echo(f"{name + ':':<20}{cell(text)}")


def describe(rule: Rule) -> dict[str, Any]:
    """Give a rule in the form of a ruleset file."""
    window = {a.name: _limit(a.limit, a.path) for a in rule.aggregations}
    return {
        "id": rule.id,
        "ruleset": rule.ruleset,
        "enabled": rule.enabled,
        "title": rule.title,
        "description": rule.description,
        "incident_type": rule.incident_type,
        "severity": rule.severity.value,
        "when": _written(rule.when),
        "unless": _written(rule.unless) if rule.unless is not None else None,
        "group_by": [format_path(path) for path in rule.group_by],
        "window": {**window, "within": format_duration(rule.within)} if rule.windowed else None,
        "once_within": format_duration(rule.once_within) if rule.once_within else None,
        "require_consecutive": {"among": _written(rule.among)} if rule.among else rule.consecutive,
        "min_components": rule.min_components,
        "escalate": [
            {
                "if": {
                    **{a.name: _limit(a.limit, a.path) for a in step.aggregations},
                    **({"lasting": format_duration(step.lasting)} if step.lasting else {}),
                    **({"when": _written(step.when)} if step.when is not None else {}),
                },
                "severity": step.severity.value,
            }
            for step in rule.escalate
        ],
        "resolve_after": format_duration(rule.resolve_after) if rule.resolve_after else None,
        "recommend": list(rule.recommend),
        "tests": [case.name for case in rule.tests],
        "content_hash": rule.content_hash(),
    }


def _limit(limit: Any, path: Any) -> dict[str, Any]:
    field = {"field": format_path(path)} if path else {}
    return {**field, **dict(limit.bounds())}


def _written(condition: Condition) -> Any:
    match condition:
        case All(parts):
            return {"all": [_written(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [_written(part) for part in parts]}
        case Not(part):
            return {"not": _written(part)}
        case Comparison(path, operator, Other(other)):
            return {format_path(path): {operator: {"field": format_path(other)}}}
        case Comparison(path, operator, operand):
            value = list(operand) if isinstance(operand, tuple) else operand
            return {format_path(path): {operator: value}}


@rules.command()
@config_option
@click.argument("rule_ids", metavar="RULE...", nargs=-1, required=True)
def enable(config: Path | None, rule_ids: tuple[str, ...]) -> None:
    """Enable rules, from the next start of `tocsin run` on."""
    _change(read_config(config), rule_ids, {"enabled": True})


@rules.command()
@config_option
@click.argument("rule_ids", metavar="RULE...", nargs=-1, required=True)
def disable(config: Path | None, rule_ids: tuple[str, ...]) -> None:
    """Disable rules, from the next start of `tocsin run` on."""
    _change(read_config(config), rule_ids, {"enabled": False})


@rules.command()
@config_option
@click.argument("rule_id", metavar="RULE")
@click.option(
    "--threshold", type=click.FloatRange(min=0), help="The number from which on it fires."
)
@click.option("--time-window", "within", type=DURATION, help="The window's length, such as 5m.")
@click.option("--severity", type=SEVERITIES, help="The severity of its incidents.")
@click.option(
    "--require-consecutive/--no-require-consecutive",
    default=None,
    help="Only an unbroken run of matching events counts.",
)
@click.option("--reset", is_flag=True, help="Forget all changes made to the rule before.")
def update(
    config: Path | None,
    rule_id: str,
    threshold: float | None,
    within: int | None,
    severity: str | None,
    require_consecutive: bool | None,
    reset: bool,
) -> None:
    """Change a rule, from the next start of `tocsin run` on.

    The change is kept in the database and wins over the ruleset and the settings.
    """
    changes = {
        "threshold": _whole(threshold),
        "within": format_duration(within) if within is not None else None,
        "severity": severity,
        "require_consecutive": require_consecutive,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if not given and not reset:
        raise click.UsageError("nothing to change; see `tocsin rules update --help`")
    _change(read_config(config), (rule_id,), given, reset=reset)


def _whole(number: float | None) -> float | None:
    return int(number) if number is not None and number.is_integer() else number


def _change(
    loaded: Loaded, rule_ids: Sequence[str], changes: Mapping[str, Any], *, reset: bool = False
) -> None:
    found = select_rules(loaded, chosen_rulesets(loaded))
    stored = stored_changes(loaded)
    merged: dict[str, dict[str, Any]] = {}
    for rule_id in rule_ids:
        rule = _find(found, rule_id)
        merged[rule_id] = {**({} if reset else stored.get(rule_id, {})), **changes}
        wanted, problems = validate(RuleSettings, from_mapping(merged[rule_id], path=rule_id))
        if wanted is None:
            raise ConfigError(problems)
        try:
            rule.with_changes(**wanted.changes())
        except ValueError as error:
            raise ConfigError.of(str(error), path=rule_id) from error
    run_async(_store(loaded, merged))
    for rule_id, change in merged.items():
        click.echo(f"{rule_id}: {cell(change) or 'as in its ruleset'} (from the next start on)")


async def _store(loaded: Loaded, changes: dict[str, dict[str, Any]]) -> None:
    # Imported here: linting and testing need no database, and SQLAlchemy is large.
    from tocsin.store.database import open_database  # noqa: PLC0415
    from tocsin.store.queries import store_rule_changes  # noqa: PLC0415

    database = await open_database(database_of(loaded))
    try:
        await store_rule_changes(database, changes, at=SystemClock().now())
    finally:
        await database.close()


@rules.command()
@config_option
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
def lint(config: Path | None, paths: tuple[Path, ...]) -> None:
    """Check ruleset files; without PATH, those of the settings."""
    found = load_files(_once(paths)) if paths else chosen_rulesets(read_config(config))
    for ruleset in found:
        untested = [rule.id for rule in ruleset.rules if not rule.tests]
        if untested:
            names = ", ".join(untested[:_SHOWN]) + (", ..." if len(untested) > _SHOWN else "")
            message = f"{len(untested)} of {len(ruleset.rules)} rules have no tests: {names}"
            click.echo(f"{ruleset.path}: warning: {message}", err=True)
        Engine(ruleset.rules)  # compiles: what the engine would refuse is refused here
        click.echo(f"{ruleset.path}: {counted(len(ruleset.rules), 'rule')}, no mistakes")


def _once(paths: Iterable[Path]) -> list[Path]:
    """Leave out files that are named twice, also by their folder."""
    chosen = {path.resolve(): path for path in reversed(tuple(paths))}
    return [path for whole, path in reversed(chosen.items()) if whole.parent not in chosen]


@rules.command()
@config_option
@click.argument("names", metavar="[PATH|RULE]...", nargs=-1)
@click.option(
    "--events",
    "source",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Events to try the rules on, JSON lines; - is standard input. Nothing is stored.",
)
@json_option
def test(config: Path | None, names: tuple[str, ...], source: Path | None, style: str) -> None:
    """Run the tests inside ruleset files, or try rules on recorded events.

    Names are ruleset files, folders or ids of rules; without any, all rules of the settings. The
    tests judge rules as they are written; --events tries them as the settings change them.
    """
    if source is not None:
        _try(_named(config, names, changed=True), source, style)
        return
    chosen = _named(config, names, changed=False)
    results = run_cases(chosen)
    failed = [result for result in results if not result.passed]
    if style == "json":
        write_json(
            [
                {
                    "rule": r.rule_id,
                    "test": r.name,
                    "passed": r.passed,
                    "problems": list(r.problems),
                }
                for r in results
            ]
        )
    else:
        for result in failed:
            click.echo(f"FAILED {result.rule_id}: {result.name}")
            for problem in result.problems[:_SHOWN]:
                click.echo(f"  {problem}")
            if len(result.problems) > _SHOWN:
                click.echo(f"  and {len(result.problems) - _SHOWN} more")
        click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise click.exceptions.Exit(1)


def _named(config: Path | None, names: tuple[str, ...], *, changed: bool) -> list[Rule]:
    """Find rules; `changed` says whether with the changes of operators and settings."""
    paths = [Path(name) for name in names if Path(name).exists()]
    wanted = [name for name in names if not Path(name).exists()]
    chosen = [rule for ruleset in load_files(_once(paths)) for rule in ruleset.rules]
    if wanted or not names:
        loaded = read_config(config)
        known = (
            effective_rules(loaded)
            if changed
            else tuple(rule for ruleset in chosen_rulesets(loaded) for rule in ruleset.rules)
        )
        chosen += [_find(known, name, "rule or file") for name in wanted] or list(known)
    return chosen


def _try(chosen: Sequence[Rule], source: Path, style: str) -> None:
    engine = Engine([rule.with_changes(enabled=True) for rule in chosen])
    player = Replay(engine, InlineMatcher(engine.program))
    rows = _play(player, source)
    if style == "json":
        write_json(rows)
        return
    for row in rows:
        if row["kind"] != "incident":
            at = row.get("detected_at") or row.get("at")
            what = [row["kind"], at, row.get("rule_id"), row.get("severity"), row.get("title")]
            click.echo("  ".join(cell(text) for text in (*what, row.get("group")) if text))
    detections = sum(row["kind"] == "detection" for row in rows)
    found = f"{counted(player.events, 'event')}, {counted(detections, 'detection')}"
    click.echo(f"{found}; nothing was stored")


def _play(player: Replay, source: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # Read outside of the loop: inside it, Ctrl-C would not end the reading.
    with (
        asyncio.Runner() as runner,
        open_input(source) as file,
        progress("test", None) as advance,
    ):
        for lines, size in read_lines(file, str(source)):
            rows += runner.run(player.feed(parse_json_lines(lines, str(source))))
            advance(size)
    return rows + player.finish()
