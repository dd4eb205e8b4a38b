"""`tocsin replay`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from tocsin.capabilities import LinePattern
from tocsin.cli.options import DURATION, FORMATS, config_option, read_config
from tocsin.cli.output import cell, counted, csv_cell, json_line, progress
from tocsin.cli.process import open_input
from tocsin.errors import ConfigError
from tocsin.event_files import (
    EventFileError,
    Lines,
    find_pattern,
    parse_json_lines,
    parse_log_lines,
    read_lines,
)
from tocsin.models import Event
from tocsin.replay import Replay
from tocsin.rules.engine import Engine
from tocsin.rules.loader import load_files
from tocsin.rules.matcher import InlineMatcher, Matcher
from tocsin.rules.schema import Rule
from tocsin.rules.worker import WorkerMatcher
from tocsin.selection import load_plugins, select_rules, select_rulesets

_DEFAULT_YEAR = 2000
_CSV = ("kind", "at", "rule_id", "severity", "group", "title", "events", "id")


class ManyPaths(click.Command):
    """Lets `--rules` be followed by several paths, up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write `--rules A B` as `--rules A --rules B`."""
        expanded: list[str] = []
        collecting = False
        for argument in args:
            if argument.startswith("-") and argument != "-":
                collecting = argument == "--rules"
                expanded.append(argument)
            elif collecting and expanded[-1] != "--rules":
                expanded += ["--rules", argument]
            else:
                expanded.append(argument)
        # One without a path would take the next option for it, or the current folder.
        for number, argument in enumerate(expanded, 1):
            after = expanded[number].strip() if number < len(expanded) else ""
            missing = not after or after.startswith("-")
            if argument == "--rules=" or (argument == "--rules" and missing):
                raise click.BadOptionUsage("rules", "Option '--rules' requires a path.", ctx)
        return super().parse_args(ctx, expanded)


@click.command(cls=ManyPaths)
@config_option
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH...",
    help="Ruleset files or folders.  [default: those of the settings]",
)
@click.option("--events", "source", required=True, help="The file to read; - for standard input.")
@click.option("--source-pattern", help="Read lines of a log by this pattern, such as sshd.")
@click.option(
    "--year",
    type=click.IntRange(1, 9999),
    help=f"The year of a log without one.  [default: {_DEFAULT_YEAR}]",
)
@click.option("--timezone", help="The time zone of a log without one.  [default: UTC]")
@click.option(
    "--allowed-lateness", type=DURATION, default=0, help="Hold events so long to put them in order."
)
@click.option(
    "--isolation",
    type=click.Choice(["process", "inline"]),
    default="process",
    show_default=True,
    help="Where the rules engine runs.",
)
@click.option(
    "--skip-invalid", is_flag=True, help="Count lines that are no events instead of stopping."
)
@click.option(
    "--format", "style", type=FORMATS, default="json", show_default=True, help="How to write."
)
def replay(
    config: Path | None,
    rules: tuple[Path, ...],
    source: str,
    source_pattern: str | None,
    year: int | None,
    timezone: str | None,
    allowed_lateness: int,
    isolation: str,
    skip_invalid: bool,
    style: str,
) -> None:
    """Put recorded events through rules: what would have been detected?

    Events are JSON lines, or the lines of a log through --source-pattern. Detections and incidents
    are written in the order of the events, one JSON object a line, the same on every run.
    """
    zone = _timezone(timezone or "UTC")
    if source_pattern is None and (year is not None or timezone is not None):
        option = "--year" if year is not None else "--timezone"
        raise click.UsageError(f"{option} is for the lines of a log; name their --source-pattern")
    found, pattern = _prepare(config, rules, source_pattern, year, zone)
    engine = Engine(found, allowed_lateness=allowed_lateness)
    matcher: Matcher = (
        InlineMatcher(engine.program) if isolation == "inline" else WorkerMatcher(engine.program)
    )
    # What is loaded by now stays: the collector need not look at it for every batch.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    _replay(Replay(engine, matcher), matcher, engine, source, pattern, skip_invalid, style)


def _prepare(
    config: Path | None,
    paths: tuple[Path, ...],
    pattern_name: str | None,
    year: int | None,
    timezone: tzinfo,
) -> tuple[tuple[Rule, ...], LinePattern | None]:
    if paths and pattern_name is None:
        return tuple(rule for ruleset in load_files(paths) for rule in ruleset.rules), None
    loaded = read_config(config)
    plugins = load_plugins(loaded)
    rulesets = load_files(paths) if paths else select_rulesets(loaded, plugins)
    rules = (
        tuple(r for ruleset in rulesets for r in ruleset.rules)
        if paths
        else select_rules(loaded, rulesets)
    )
    if pattern_name is None:
        return rules, None
    wanted = year if year is not None else _DEFAULT_YEAR
    return rules, find_pattern(plugins, pattern_name, year=wanted, timezone=timezone)


def _timezone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError.of(f"there is no time zone {name!r}", path="--timezone") from error


def _replay(
    player: Replay,
    matcher: Matcher,
    engine: Engine,
    source: str,
    pattern: LinePattern | None,
    skip_invalid: bool,
    style: str,
) -> None:
    write = _writer(style)
    skipped = 0

    def skip() -> None:
        nonlocal skipped
        skipped += 1

    events: Sequence[Event]
    tolerant = skip_invalid or pattern is not None
    # The loop runs for each part on its own: inside it, Ctrl-C would not end the reading.
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        stack.callback(lambda: runner.run(matcher.close()))
        stack.callback(sys.stdout.flush)
        file = stack.enter_context(open_input(source))
        advance = stack.enter_context(progress("replay", _size(file)))
        for lines, size in read_lines(file, source, too_long=skip if tolerant else None):
            if pattern is not None:
                events, bad = parse_log_lines(lines, pattern, source)
            else:
                events, bad = _events(lines, source, skip_invalid)
            skipped += bad
            for row in runner.run(player.feed(events)):
                write(row)
            advance(size)
        for row in player.finish():
            write(row)
    counts = (
        counted(player.events, "event"),
        counted(player.duplicates, "duplicate"),
        f"{engine.statistics.late} late",
        f"{engine.statistics.quarantined} quarantined",
        f"{counted(skipped, 'line')} skipped",
    )
    click.echo(", ".join(counts), err=True)


def _events(lines: Lines, source: str, skip_invalid: bool) -> tuple[Sequence[Event], int]:
    if not skip_invalid:
        return parse_json_lines(lines, source), 0
    try:
        return parse_json_lines(lines, source), 0
    except EventFileError:
        good: list[Event] = []
        bad = 0
        for number, text in lines.numbered():
            try:
                good += parse_json_lines(Lines(number, [text]), source)
            except EventFileError:
                bad += 1
        return good, bad


def _size(file: BinaryIO) -> float | None:
    try:
        return float(os.fstat(file.fileno()).st_size) or None
    except OSError:
        return None


def _writer(style: str) -> Callable[[dict[str, Any]], None]:
    if style == "json":
        return lambda row: print(json_line(row))  # noqa: T201 - click.echo flushes every line
    if style == "csv":
        import csv  # noqa: PLC0415 - only here

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_CSV)
        return lambda row: writer.writerow(csv_cell(value) for value in _values(row))
    return lambda row: print("  ".join(filter(None, map(cell, _values(row)))))  # noqa: T201 - see above


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    at = row.get("detected_at") or row.get("at")
    events = len(row.get("event_ids") or ()) or None
    identity = row.get("id") or row.get("detection_id") or row.get("event_id")
    return (
        row["kind"],
        at,
        row.get("rule_id"),
        row.get("severity"),
        row.get("group"),
        row.get("title"),
        events,
        identity,
    )
