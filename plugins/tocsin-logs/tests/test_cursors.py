"""The cursor as it is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_logs.cursors import Cursor, Mark, Place, dump, load

counts = st.integers(0, 2**63)
names = st.text()
marks = st.builds(Mark.of, st.binary(max_size=256))
places = st.builds(
    Place,
    path=names,
    name=names,
    entry=names,
    device=counts,
    inode=counts,
    offset=counts,
    head=marks,
    tail=marks,
    order=counts,
    generation=names,
    cut=st.booleans(),
    rotated=st.booleans(),
    gone=st.booleans(),
    reached=st.none() | st.tuples(st.integers(1970, 9000), st.integers(1, 12)),
)
PLACE = Place(
    path="/var/log/app.log",
    name="app.log",
    entry="*.log",
    device=1,
    inode=2,
    offset=3,
    head=Mark.of(b"abc"),
    tail=Mark.of(b"abc"),
    order=0,
    generation="0123456789abcdef",
)


@given(
    cursor=st.builds(
        Cursor,
        entries=st.lists(names).map(tuple),
        places=st.lists(places).map(tuple),
        next_order=counts,
    )
)
def test_what_is_written_is_read_back(cursor: Cursor) -> None:
    assert load(dump(cursor)) == cursor


def test_a_path_in_bytes_that_are_no_text() -> None:
    cursor = Cursor(places=(Place(**{**_fields(PLACE), "path": "/x/\udcff"}),))

    assert load(dump(cursor)) == cursor


def test_nothing_is_no_cursor() -> None:
    assert load(None) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", None),
        ("offset", -1),
        ("offset", "far"),
        ("head", []),
        ("head", [1]),
        ("tail", 5),
        ("order", None),
        ("reached", [2024]),
    ],
)
def test_a_damaged_cursor_is_refused(field: str, value: Any) -> None:
    stored = json.loads(dump(Cursor(places=(PLACE,))))
    if value is None:
        del stored["files"][0][field]
    else:
        stored["files"][0][field] = value

    with pytest.raises(ValueError, match="not a cursor of this source"):
        load(json.dumps(stored))


def test_the_form_does_not_change_unnoticed() -> None:
    cursor = Cursor(entries=("*.log",), places=(PLACE,), next_order=1)

    assert json.loads(dump(cursor)) == {
        "version": 1,
        "entries": ["*.log"],
        "next": 1,
        "files": [
            {
                "path": "/var/log/app.log",
                "name": "app.log",
                "entry": "*.log",
                "device": 1,
                "inode": 2,
                "offset": 3,
                "head": [3, "ba7816bf8f01cfea"],
                "tail": [3, "ba7816bf8f01cfea"],
                "order": 0,
                "generation": "0123456789abcdef",
            }
        ],
    }


def _fields(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in Place.__dataclass_fields__}
