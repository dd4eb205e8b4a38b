"""Options and openings that several commands share."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tocsin.cli.exits import WrongError
from tocsin.clock import SystemClock
from tocsin.durations import parse_duration
from tocsin.errors import NoDatabaseError, StoreError
from tocsin.models import IncidentSeverity, IncidentStatus
from tocsin.settings import Loaded, load_settings

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from tocsin.store.database import Database

DEFAULT_CONFIG = "tocsin.yaml"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

SEVERITIES = click.Choice([severity.value for severity in IncidentSeverity])
STATUSES = click.Choice(["active", *(status.value for status in IncidentStatus)])
FORMATS = click.Choice(["table", "json", "csv"])


class DurationType(click.ParamType[int]):
    """A span such as `5m`, in microseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a span."""
        try:
            number = float(value) if isinstance(value, str) and _is_number(value) else value
            return parse_duration(number)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = DurationType()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


class SinceType(click.ParamType[datetime]):
    """An instant: a date (its beginning in UTC), an instant as such, or a span before now."""

    name = "since"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read an instant."""
        if isinstance(value, datetime):
            return value
        try:
            return SystemClock().now() - timedelta(microseconds=parse_duration(value))
        except ValueError:
            pass
        try:
            if _DATE.fullmatch(value):
                return datetime.fromisoformat(value).replace(tzinfo=UTC)
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected a span such as '24h' or an ISO date, found {value!r}", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"expected a time zone, such as '{value}Z' for UTC", param, ctx)
        return instant


SINCE = SinceType()


def config_option(function: Function) -> Function:
    """Add `--config`."""
    return click.option(
        "--config",
        "-c",
        "config",
        type=click.Path(path_type=Path),
        envvar="TOCSIN_CONFIG",
        help=f"The settings file.  [default: {DEFAULT_CONFIG}, where there is one]",
    )(function)


def format_option(function: Function) -> Function:
    """Add `--format`."""
    return _format(FORMATS)(function)


def json_option(function: Function) -> Function:
    """Add `--format` where the result is no table that CSV could hold."""
    return _format(click.Choice(["table", "json"]))(function)


def _format(choice: click.Choice[str]) -> Callable[[Function], Function]:
    return click.option(
        "--format", "style", type=choice, default="table", show_default=True, help="How to write."
    )


def read_config(path: Path | None) -> Loaded:
    """Read the settings file: the one named, else tocsin.yaml here, else the defaults.

    Raises:
        ConfigError: it is wrong; all mistakes at once.
    """
    if path is None and Path(DEFAULT_CONFIG).exists():
        path = Path(DEFAULT_CONFIG)
    return load_settings(path)


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, in a loop of its own."""
    return asyncio.run(work)


def database_of(loaded: Loaded) -> URL:
    """Give the address of the database that the settings name.

    Raises:
        WrongError: there can be no such database.
    """
    # Imported here: SQLAlchemy is large, and half of the commands do without a database.
    from tocsin.store.database import check_place, database_url  # noqa: PLC0415

    try:
        url = database_url(loaded.settings.database, directory=loaded.directory)
        check_place(url)
    except StoreError as error:
        raise WrongError(str(error)) from error
    return url


@contextlib.asynccontextmanager
async def existing_database(loaded: Loaded) -> AsyncIterator[Database]:
    """Open the database of the settings to look at it; nothing is made or changed.

    Raises:
        NoDatabaseError: it does not exist yet.
        StoreError: it cannot be used.
    """
    from tocsin.store.database import open_for_reading  # noqa: PLC0415 - see above

    try:
        database = await open_for_reading(database_of(loaded))
    except NoDatabaseError as error:
        hint = "`tocsin run` makes it (--config names the settings)"
        raise NoDatabaseError(f"{error}: {hint}") from error
    try:
        yield database
    finally:
        await database.close()
