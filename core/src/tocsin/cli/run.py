"""`tocsin run`: the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import signal
import sys
from pathlib import Path

import click

from tocsin.cli.options import DURATION, config_option, database_of, read_config, run_async
from tocsin.cli.process import start_words
from tocsin.cli.secrecy import shown_settings
from tocsin.manager import IncidentManager
from tocsin.settings import Loaded

_LEVELS = click.Choice(["debug", "info", "warning", "error"])


@click.command()
@config_option
@click.option("--log-level", type=_LEVELS, default="info", show_default=True, help="What to log.")
@click.option("--for", "duration", type=DURATION, help="Stop after so long, such as 10s.")
def run(config: Path | None, log_level: str, duration: int | None) -> None:
    """Watch the configured sources and open incidents, until stopped by Ctrl-C or SIGTERM."""
    loaded = read_config(config)
    database_of(loaded)  # a name that cannot be is a mistake in the settings, not a failure
    logging.basicConfig(
        stream=sys.stderr,
        level=log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("aiosqlite", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    run_async(_run(loaded, config, duration))


async def _run(loaded: Loaded, config: Path | None, duration: int | None) -> None:
    manager = IncidentManager(loaded)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with manager:
        _say_where(loaded, config, manager)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration / 1_000_000 if duration is not None else None):
                await manager.wait_failed_or(stop)
    click.echo("stopped; everything accepted is evaluated and stored", err=True)


def _say_where(loaded: Loaded, config: Path | None, manager: IncidentManager) -> None:
    statistics = manager.get_statistics()
    database = shown_settings(loaded)["database"]
    option = f" --config {shlex.quote(str(config))}" if config is not None else ""
    program = start_words()
    sources = ", ".join(statistics["sources"]) or "none (events can be submitted)"
    for line in (
        f"watching: {sources}",
        f"rules: {statistics['engine']['rules']}   database: {database}",
        f"look:    {program} status{option}",
        f"         {program} incidents list{option}",
        f"         {program} events list --last 10{option}",
        "stop:    Ctrl-C",
    ):
        click.echo(line, err=True)
