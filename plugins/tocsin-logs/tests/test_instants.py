"""Reading timestamps that lack a year or a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tocsin_logs.instants import Calendar

BERLIN = ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_without_a_year_and_a_present_the_year_is_a_leap_year() -> None:
    assert Calendar().syslog("Feb 29 06:55:46") == utc(1972, 2, 29, 6, 55, 46)


def test_the_year_goes_on_after_december() -> None:
    calendar = Calendar(year=2024)

    years = [
        calendar.syslog(f"{day} 00:00:00").year
        for day in ("Nov 30", "Dec 31", "Jan  1", "Feb  2", "Dec 31", "Jan 1")
    ]

    assert years == [2024, 2024, 2025, 2025, 2025, 2026]
    assert calendar.reached == (2026, 1)


def test_a_late_line_of_the_old_year_does_not_end_the_new_one() -> None:
    calendar = Calendar(year=2024)

    years = [
        calendar.syslog(f"{day} 23:59:59").year
        for day in ("Dec 31", "Jan  1", "Dec 31", "Jan  1", "Jan  2")
    ]

    assert years == [2024, 2025, 2024, 2025, 2025]


def test_a_small_step_back_stays_in_the_year() -> None:
    calendar = Calendar(year=2024)

    assert [calendar.syslog(f"{day} 0:0:0").year for day in ("Jul 1", "Jun 30")] == [2024, 2024]


def test_a_calendar_can_go_on_where_another_stopped() -> None:
    first = Calendar(year=2024)
    for day in ("Dec 31", "Jan  1"):
        first.syslog(f"{day} 00:00:00")
    second = Calendar(year=2024)
    assert first.reached is not None
    second.resume(first.reached)

    assert second.syslog("Jan  2 00:00:00").year == 2025


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        (utc(2025, 3, 1), "Feb 28 10:00:00", utc(2025, 2, 28, 10)),
        (utc(2025, 1, 1), "Dec 31 23:59:59", utc(2024, 12, 31, 23, 59, 59)),
        (utc(2025, 3, 1), "Mar  2 00:30:00", utc(2025, 3, 2, 0, 30)),  # its clock is ahead
        (utc(2025, 3, 1), "Mar  3 00:30:00", utc(2024, 3, 3, 0, 30)),
        (utc(2024, 12, 31, 23), "Jan  1 00:30:00", utc(2025, 1, 1, 0, 30)),
        (utc(2025, 3, 1), "Feb 29 10:00:00", utc(2024, 2, 29, 10)),
    ],
)
def test_a_live_line_is_of_the_latest_year_that_is_not_in_the_future(
    now: datetime, text: str, expected: datetime
) -> None:
    assert Calendar(now=lambda: now).syslog(text) == expected


def test_the_same_text_a_year_later_is_another_instant() -> None:
    nows = iter([utc(2025, 1, 2), utc(2025, 1, 2), utc(2026, 1, 2), utc(2026, 1, 2)])
    calendar = Calendar(now=lambda: next(nows))

    assert calendar.syslog("Jan  1 00:00:00").year == 2025
    assert calendar.syslog("Jan  1 00:00:00").year == 2026


def test_a_zone_is_added_where_there_is_none() -> None:
    calendar = Calendar(year=2024, timezone=BERLIN)

    assert calendar.syslog("Jul  1 12:00:00") == utc(2024, 7, 1, 10)
    assert calendar.apache("Mon Jan 01 12:00:00.5 2024") == utc(2024, 1, 1, 11, 0, 0, 500_000)
    assert calendar.nginx("2024/01/01 12:00:00") == utc(2024, 1, 1, 11)
    assert calendar.auto("2024-01-01T12:00:00") == utc(2024, 1, 1, 11)
    assert calendar.auto("2024-01-01T12:00:00+05:00") == utc(2024, 1, 1, 7)
    assert calendar.access("01/Jan/2024:12:00:00 -0700") == utc(2024, 1, 1, 19)


def test_everything_is_given_in_utc() -> None:
    odd = timezone(timedelta(hours=5, minutes=45))

    assert Calendar(timezone=odd).auto("2024-01-01 00:00").tzinfo is UTC
    assert Calendar(timezone=odd).syslog("Jan  1 00:00:00").tzinfo is UTC


def test_a_leap_second_is_the_end_of_the_minute() -> None:
    assert Calendar(year=2016).syslog("Dec 31 23:59:60") == utc(2016, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, utc(2023, 11, 14, 22, 13, 20)),
        ("1700000000", utc(2023, 11, 14, 22, 13, 20)),
        ("1700000000.25", utc(2023, 11, 14, 22, 13, 20, 250_000)),
        (1_700_000_000_500, utc(2023, 11, 14, 22, 13, 20, 500_000)),
        (1_700_000_000_500_000, utc(2023, 11, 14, 22, 13, 20, 500_000)),
        (1_700_000_000_500_000_000, utc(2023, 11, 14, 22, 13, 20, 500_000)),
        (0, utc(1970, 1, 1)),
        ("2023-11-14T22:13:20Z", utc(2023, 11, 14, 22, 13, 20)),
        (" 2023-11-14 22:13:20,5 ", utc(2023, 11, 14, 22, 13, 20, 500_000)),
    ],
)
def test_instants_in_many_spellings(value: object, expected: datetime) -> None:
    assert Calendar().auto(value) == expected


@pytest.mark.parametrize(
    "value", ["", "soon", "nan", "inf", float("nan"), 1e30, True, None, [], {}, "2023-02-30", "٣"]
)
def test_what_is_no_instant_is_refused(value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Calendar().auto(value)


def test_old_lines_have_no_present() -> None:
    with pytest.raises(ValueError, match="no timestamp"):
        Calendar().present()


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2024:13:55:36 -0700", utc(2024, 10, 10, 20, 55, 36)),
        ("%d.%m. %H:%M", "29.02. 12:30", utc(2024, 2, 29, 12, 30)),
    ],
)
def test_a_format_of_strptime(form: str, text: str, expected: datetime) -> None:
    assert Calendar(year=2024).formatted(text, form) == expected
