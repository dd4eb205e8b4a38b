"""Events that JSON cannot hold as they are: what is evaluated is what would be read back."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.support import event, micros, open_journal
from tocsin.clock import to_micros
from tocsin.models import IncidentEvent
from tocsin.models.wire import as_model
from tocsin.store.database import Database
from tocsin.store.journal import decode, encode


class Region(enum.StrEnum):
    EU = "eu"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float):
    """As numpy's numbers are: a kind of float that JSON writers do not know."""


class OwnZone(tzinfo):
    def utcoffset(self, _at: datetime | None) -> timedelta:
        return timedelta(hours=5, minutes=45)

    def dst(self, _at: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _at: datetime | None) -> str:
        return "own"


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ODD_VALUES = {
    "surrogate": "a\ud800b",
    "pair of surrogates": "\ud83d\ude00",
    "2**63": 2**63,
    "-2**63": -(2**63),
    "2**64": 2**64,
    "-2**63-1": -(2**63) - 1,
    "10**400": 10**400,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "tiny": 5e-324,
    "-0.0": -0.0,
    "1.0": 1.0,
    "nul": "\x00",
    "control": "\x1b[31m\u2028\x7f",
    "deep": deep(100),
    "str enum": Region.EU,
    "int enum": Level.HIGH,
    "float of a kind": Ratio(1.5),
}
VALUES = [pytest.param(value, id=name) for name, value in ODD_VALUES.items()]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same kind, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def check(*events: IncidentEvent) -> None:
    """Check that what is kept for the rules is what is read back."""
    kept, body = encode(events)
    back = [as_model(one) for one in decode(body)]
    for one, other in zip(kept, back, strict=True):
        # Not `==`: two spellings of an instant in the repeated hour of autumn are never equal.
        assert to_micros(one.timestamp) == to_micros(other.timestamp)
        assert one.model_copy(update={"timestamp": other.timestamp}) == other
        assert same(one.metadata, other.metadata), (one.metadata, other.metadata)


@pytest.mark.parametrize("value", VALUES)
class TestMetadata:
    def test_as_a_value(self, value: Any) -> None:
        check(event("a", metadata={"x": value}))

    def test_inside(self, value: Any) -> None:
        check(event("a", metadata={"x": [{"y": [value, 1]}]}))


@pytest.mark.parametrize("key", ["a\ud800b", "\x00", "", "\u2028", "x" * 5000])
def test_keys(key: str) -> None:
    check(event("a", metadata={key: {key: 1}}))


def test_one_odd_event_leaves_the_others_as_they_are() -> None:
    plain, odd = event("a", metadata={"x": 1}), event("b", metadata={"x": 2**70})
    kept, _ = encode([plain, odd])
    assert kept[0] is plain
    assert kept[1].metadata == {"x": float(2**70)}
    assert odd.metadata == {"x": 2**70}


INSTANTS = [
    datetime(2026, 1, 1, 12, 30, 15, 999_999, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(1969, 12, 31, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=OwnZone()),
    datetime(1890, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),  # 53 minutes 28 seconds ahead
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30))),
]


@pytest.mark.parametrize("instant", INSTANTS, ids=str)
def test_instants(instant: datetime) -> None:
    check(event("a", timestamp=instant))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.lists(
        st.builds(
            IncidentEvent,
            event_id=ANY_TEXT,
            timestamp=st.datetimes(timezones=st.just(UTC)),
            event_type=ANY_TEXT,
            source=ANY_TEXT,
            message=ANY_TEXT,
            metadata=st.dictionaries(st.text(st.characters(), max_size=3), JSON_VALUES, max_size=3),
            correlation_id=st.none() | ANY_TEXT,
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_event(events: list[IncidentEvent]) -> None:
    check(*events)


async def test_the_database_keeps_all_of_it(database: Database) -> None:
    """What is handed to the evaluation at once is what a new start reads."""
    journal = await open_journal(database)
    nul = "a\x00b"
    names = ("event_type", "source", "message", "correlation_id")
    texts: dict[str, Any] = dict.fromkeys(names, nul)
    events = [event(nul, **texts, metadata={nul: nul})]
    events += [
        event(number, metadata={"x": value})
        for number, (name, value) in enumerate(ODD_VALUES.items())
    ]
    appended = await journal.append(events, accepted_at=micros(0), cursor_of={"log": "1"})
    (told,) = appended.blocks
    (block,) = await (await open_journal(database)).read(0)
    kept = [as_model(one) for one in told.events]
    assert [as_model(one) for one in block.events] == kept
    assert kept[0] == events[0]


async def test_a_cursor_with_a_nul_character(database: Database) -> None:
    """A cursor is the plugin's own text."""
    journal = await open_journal(database)
    await journal.append([], accepted_at=micros(0), cursor_of={"log": "a\x00b"})
    assert await journal.cursor("log") == "a\x00b"
