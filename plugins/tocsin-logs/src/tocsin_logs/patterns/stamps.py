"""Formats of timestamps in settings."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from tocsin_logs.instants import YEARLESS, Calendar, strptime

_SAMPLE = datetime(YEARLESS, 10, 11, 12, 13, 14)  # noqa: DTZ001 - formatted, never compared
AUTO = "auto"


def _checked(form: str) -> str:
    if form == AUTO:
        return form
    if "%" not in form:
        raise ValueError(
            f"expected 'auto' or a format of strptime such as '%d/%b/%Y', found {form!r}"
        )
    try:
        found, _ = strptime(_SAMPLE.strftime(form), form)
    except (ValueError, re.error) as error:
        raise ValueError(f"not a format of strptime: {error}") from None
    if (found.month, found.day) != (_SAMPLE.month, _SAMPLE.day):
        raise ValueError(f"expected a format with month and day, found {form!r}")
    return form


Format = Annotated[str, AfterValidator(_checked)]
"""`auto`, or a format of strptime with month and day."""


def instant_of(value: object, form: str, calendar: Calendar) -> datetime:
    """Read a timestamp by a format of the settings.

    Raises:
        ValueError: it is not of this form.
        OverflowError: it lies outside the years 1 to 9999.
    """
    return calendar.auto(value) if form == AUTO else calendar.formatted(str(value), form)
