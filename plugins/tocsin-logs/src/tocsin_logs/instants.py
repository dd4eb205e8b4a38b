"""Reads the many ways in which logs write an instant."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from tocsin.clock import EPOCH, from_micros

YEARLESS = 1972
"""The year of lines without one where nobody says more: a leap year, so that every day exists."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{0,20})?")
_WITH_YEAR = ("%Y", "%y", "%G", "%c", "%x")
_HALF_A_YEAR = 6
_DECEMBER = 12
_LEAP_SECOND = 60
_YEARS_BACK = 8
_AHEAD = timedelta(days=1)
# Numbers of seconds, milliseconds, microseconds and nanoseconds since 1970 lie far apart: as
# seconds, the first limit is in the year 5138.
_MICROS_PER_UNIT = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3))


class Calendar:
    """Completes what a log leaves out of its timestamps: the year and the time zone.

    One calendar belongs to one file and what the file is rotated into, since it remembers where in
    the year the lines are.
    """

    def __init__(
        self,
        *,
        timezone: tzinfo = UTC,
        year: int | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Prepare a calendar.

        Args:
            timezone: of timestamps that name none.
            year: of the first line; goes on to the next one after December. Without it, each line
                gets the latest year that does not put it into the future.
            now: the present, for lines that are being written.
        """
        self._timezone = timezone
        self._now = now
        self._first = year if year is not None or now is not None else YEARLESS
        self._reached: tuple[int, int] | None = None
        self._seen: datetime | None = None
        self._last_text = ""
        self._last_instant = EPOCH
        self._last_day = ""
        self._last_date = (0, 0, 0)

    @property
    def reached(self) -> tuple[int, int] | None:
        """Year and month of the latest line, where a first year was given and lines were read."""
        return self._reached

    def resume(self, reached: tuple[int, int]) -> None:
        """Go on where another calendar has stopped."""
        if self._first is not None:
            self._reached = reached

    def present(self) -> datetime:
        """Give the present.

        Raises:
            ValueError: the lines are old ones, which have no present.
        """
        if self._now is None:
            raise ValueError("no timestamp")
        return self._now()

    def syslog(self, text: str) -> datetime:
        """Read `Dec 10 06:55:46`, with or without a fraction of a second.

        Raises:
            ValueError: there is no such instant.
        """
        return self._remembered(text, self._syslog)

    def apache(self, text: str) -> datetime:
        """Read `Sun Dec 04 04:47:44.123456 2005`, with or without the fraction.

        Raises:
            ValueError: there is no such instant.
        """
        return self._remembered(text, self._apache)

    def access(self, text: str) -> datetime:
        """Read `10/Oct/2000:13:55:36 -0700`.

        Raises:
            ValueError: there is no such instant.
        """
        return self._remembered(text, self._access)

    def nginx(self, text: str) -> datetime:
        """Read `2023/01/02 15:04:05`.

        Raises:
            ValueError: there is no such instant.
        """
        return self._remembered(text, self._nginx)

    def auto(self, value: object) -> datetime:
        """Read ISO 8601, or a number of seconds, milli-, micro- or nanoseconds since 1970.

        Raises:
            ValueError: it is none of these.
            OverflowError: it lies outside the years 1 to 9999.
        """
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            return self.zoned(datetime.fromisoformat(value.strip()))
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return _since_1970(float(value))
        raise ValueError("not an instant")

    def formatted(self, text: str, form: str) -> datetime:
        """Read a timestamp by a format of `strptime`.

        Raises:
            ValueError: the text is not of this form.
        """
        found, complete = strptime(text, form)
        if not complete:
            found = found.replace(year=self._completed(found.month, found.day))
        return self.zoned(found)

    def zoned(self, instant: datetime) -> datetime:
        """Give the instant in UTC, taking one without a zone as one of this calendar's zone."""
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self._timezone)
        return instant if instant.tzinfo is UTC else instant.astimezone(UTC)

    def _remembered(self, text: str, read: Callable[[str], datetime]) -> datetime:
        # Neighbouring lines mostly have the same second and nearly always the same day. Once time
        # has gone on, the same text may mean another year.
        present = self._now() if self._now is not None else None
        if present is not self._seen:
            self._seen, self._last_text, self._last_day = present, "", ""
        if text != self._last_text:
            self._last_instant = read(text)
            self._last_text = text
        return self._last_instant

    def _syslog(self, text: str) -> datetime:
        day, _, time = text.rpartition(" ")
        if day != self._last_day:
            name, number = day.split()
            month = _month(name)
            self._last_date = (self._completed(month, int(number)), month, int(number))
            self._last_day = day
        return self._at(*self._last_date, time)

    def _apache(self, text: str) -> datetime:
        _, name, day, time, year = text.split()
        return self._at(int(year), _month(name), int(day), time)

    def _access(self, text: str) -> datetime:
        day, name, rest = text.split("/")
        year, time = rest.split(":", 1)
        clock, zone = time.split(" ")
        return self._at(int(year), _month(name), int(day), clock, _offset(zone))

    def _nginx(self, text: str) -> datetime:
        date, time = text.split(" ")
        year, month, day = date.split("/")
        return self._at(int(year), int(month), int(day), time)

    def _at(
        self, year: int, month: int, day: int, time: str, zone: tzinfo | None = None
    ) -> datetime:
        time, _, fraction = time.partition(".")
        hour, minute, second = time.split(":")
        seconds = int(second)
        if seconds == _LEAP_SECOND:
            seconds -= 1  # a clock that shows a leap second means the end of the minute
        micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
        zone = zone or self._timezone
        found = datetime(year, month, day, int(hour), int(minute), seconds, micros, zone)
        return found if zone is UTC else found.astimezone(UTC)

    def _completed(self, month: int, day: int) -> int:
        return self._latest(month, day) if self._first is None else self._rolled(month)

    def _latest(self, month: int, day: int) -> int:
        # A day ahead is allowed for, since the clock or the zone of the writer may be off.
        limit = self.present().astimezone(self._timezone) + _AHEAD
        for year in range(limit.year, limit.year - _YEARS_BACK - 1, -1):
            try:
                begin = datetime(year, month, day, tzinfo=self._timezone)
            except ValueError:  # 29 February, in a year without
                continue
            if begin <= limit:
                return year
        raise ValueError("no such day")

    def _rolled(self, month: int) -> int:
        if self._first is None:
            raise ValueError("no year")
        year, last = self._reached or (self._first, month)
        if last == 1 and month == _DECEMBER and year > self._first:
            return year - 1  # a late line of the year before
        if last - month > _HALF_A_YEAR:
            year += 1
        self._reached = (year, month)
        return year


def strptime(text: str, form: str) -> tuple[datetime, bool]:
    """Read a timestamp by a format, and say whether it gave a year.

    Raises:
        ValueError: the text is not of this form, or the form makes no sense.
    """
    if any(directive in form for directive in _WITH_YEAR):
        return datetime.strptime(text, form), True  # noqa: DTZ007 - the calendar adds the zone
    # Without a year, strptime assumes one that has no 29 February.
    return datetime.strptime(f"{YEARLESS} {text}", f"%Y {form}"), False  # noqa: DTZ007


def _month(name: str) -> int:
    month = _MONTHS.get(name)
    if month is None:
        raise ValueError("no such month")
    return month


@functools.lru_cache(maxsize=64)
def _offset(zone: str) -> tzinfo:
    found = datetime.strptime(zone, "%z").tzinfo
    if found is None:
        raise ValueError("no such zone")
    return found


def _since_1970(number: float) -> datetime:
    for limit, micros in _MICROS_PER_UNIT:
        if abs(number) < limit:
            return from_micros(round(number * micros))
    raise ValueError("not an instant")
