"""`tocsin events` where no daemon runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from cli.support import cli, event, ok, refused, unbroken, write_lines

MAX_BYTES = 4 * 1024 * 1024


def submit(home: Path, *lines: str) -> str:
    write_lines(home / "events.jsonl", lines)
    return refused("events submit events.jsonl")


@pytest.mark.usefixtures("world")
def test_list() -> None:
    rows = ok("events list --format json").json()
    assert [row["event_id"] for row in rows] == ["e0", "e1", "e2", "e10", "e11", "e20"]
    assert rows[3]["timestamp"] == "2026-01-01T00:00:10Z"
    assert rows[3]["metadata"] == {}
    newest = ok("events list --last 2 --format json").json()
    assert newest == rows[-2:]
    text = unbroken(ok("events list --last 3").out)
    assert "2026-01-01T00:00:10Z disk_full db critical no space e10" in text
    assert "e2 " not in text


@pytest.mark.usefixtures("world")
def test_list_as_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(ok("events list --last 3 --format csv").out)))
    assert rows[0] == {
        "timestamp": "2026-01-01T00:00:10Z",
        "event_type": "disk_full",
        "source": "db",
        "severity": "critical",
        "message": "no space",
        "event_id": "e10",
    }


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("last", ["0", "-1", "x", "100001"])
def test_list_refuses_other_numbers(last: str) -> None:
    assert "Invalid value for '--last'" in refused("events list --last", last)


def test_submit_from_a_file_and_from_standard_input(home: Path) -> None:
    lines = [event(1, "disk_full"), "", event(2)]
    path = write_lines(home / "events.jsonl", lines)
    first = ok("events submit --format json", path).json()
    incident = first.pop("incidents")[0]
    assert first == {"accepted": 2, "duplicates": 0, "evaluated": True, "quarantined": []}
    assert (incident["type"], incident["severity"]) == ("disk_space_low", "critical")
    more = "\r\n".join([*lines, event(3, "disk_full", "web")]).encode()  # no line end at the end
    text = ok("events submit --format table -", stdin=more).out
    assert text.startswith("1 event")
    assert " accepted, 2 known already\n" in text
    assert "Disk full on web" in unbroken(text)
    assert "Disk full on api" not in unbroken(text)


def test_submit_of_nothing() -> None:
    assert ok("events submit -").out == (
        "0 events accepted, 0 known already\nno incident was opened\n"
    )


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
@pytest.mark.usefixtures("home")
def test_files_that_cannot_be_read(name: str) -> None:
    reason = "Is a directory" if name == "." else "No such file or directory"
    assert refused("events submit", name) == f"{name}: cannot be read: {reason}\n"


BAD_LINES = {
    "half an object": ('{"event_id": "x"', "expected one JSON object on the line: "),
    "a word": ("hello", "expected one JSON object on the line: "),
    "a list": ("[1, 2]", "expected one JSON object on the line"),
    "null": ("null", "expected one JSON object on the line"),
    "a list of an event": (f"[{event(5)}]", "expected one JSON object on the line"),
    "two objects": (event(5) + event(6), "expected one JSON object on the line"),
    "no time zone": (
        event(5, timestamp="2026-01-01T00:00:00"),
        "timestamp: input should have timezone info, found '2026-01-01T00:00:00'",
    ),
    "no timestamp": (event(5, timestamp="soon"), "timestamp: "),
    "a word for severity": (
        event(5, severity="urgent"),
        "severity: input should be 'low', 'medium', 'high' or 'critical', found 'urgent'",
    ),
    "a field that is not known": (
        event(5, mesage="x"),
        "unknown field 'mesage'; did you mean 'message'?",
    ),
    "a field that is missing": ('{"event_id": "x"}', "missing field 'event_type'"),
    "a number for an id": (event(5, event_id=5), "event_id: input should be a valid string"),
    "a list for metadata": (event(5, metadata=[1]), "metadata: input should be"),
    "an empty id": (event(5, event_id=""), "event_id: string should have at least 1 character"),
    "a long source": (event(5, source="x" * 1000), "source: string should have at most 256"),
    "nested deeply": (
        event(5, metadata={"a": 0}).replace("0}", "[" * 9999 + "]" * 9999 + "}"),
        "events.jsonl:2:1: ",
    ),
    "half a letter": ('{"event_id": "\\ud800"}', "expected one JSON object on the line"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_lines_that_are_no_events(home: Path, name: str) -> None:
    line, expected = BAD_LINES[name]
    said = submit(home, event(1), line, event(2))
    assert all(text.startswith("events.jsonl:2:") for text in said.splitlines())
    assert expected in said
    assert ": : " not in said
    assert not (home / "tocsin.db").exists()


def test_the_place_of_a_mistake_in_the_json_is_told_once(home: Path) -> None:
    said = submit(home, '{"event_id": nonsense}')
    assert said.startswith("events.jsonl:1:15: ")
    assert "line 1 column" not in said


def test_binary_garbage(home: Path) -> None:
    path = home / "garbage"
    path.write_bytes(bytes(range(256)) * 2000)
    said = refused("events submit", path)
    assert said.startswith(f"{path}:1:1: ")
    assert len(said.splitlines()) <= 21  # not one for each line


def test_the_number_of_mistakes_that_are_left_out_is_told(home: Path) -> None:
    said = submit(home, *["nonsense"] * 100)
    assert "80" in said.splitlines()[-1]


def test_a_line_without_end_is_not_read_to_its_end(home: Path) -> None:
    path = home / "long"
    path.write_bytes(b"x" * (17 * 1024 * 1024))
    assert refused("events submit", path) == (
        f"{path}:1:1: expected lines of at most 16777216 bytes\n"
    )


def test_an_event_that_is_too_large_keeps_the_others_from_being_submitted(home: Path) -> None:
    """The help promises that every line is checked before the first event is submitted."""
    lines = [event(1, event_id=f"n{number}") for number in range(600)]
    said = submit(home, *lines, event(2, message="x" * MAX_BYTES))
    assert "at most 4194304 are accepted" in said
    outcome = cli("events list --format json")
    assert outcome.code == 2 or outcome.json() == []


def test_an_event_that_is_put_aside_is_told_of(home: Path) -> None:
    path = write_lines(home / "events.jsonl", [event(1, timestamp="9000-01-01T00:00:00Z")])
    said = ok("events submit", path)
    assert "1 event" in said.out
    assert "future" in said.out + said.err


HOSTILE = "\x1b[2J\x1b]0;title\x07red\u202e\n\r\x9b31m\x00end"


def test_event_data_cannot_move_the_cursor(home: Path) -> None:
    line = event(1, "disk_full", f"=cmd{HOSTILE}", message=f"+1{HOSTILE}")
    path = write_lines(home / "events.jsonl", [line])
    ok("events submit", path)
    for command in (
        "events list --format table",
        "events list --format csv",
        "events list --format json",
        "incidents list --format table",
        "incidents list --format csv",
        "incidents list --format json",
        "rules test rules.yaml --events events.jsonl",
        "replay --rules rules.yaml --isolation inline --events events.jsonl --format csv",
        "replay --rules rules.yaml --isolation inline --events events.jsonl --format table",
        "replay --rules rules.yaml --isolation inline --events events.jsonl --format json",
    ):
        out = ok(command).out
        assert not set(out) & set("\x1b\x07\x9b\x00\r\u202e"), command
        assert "end" in out, command
    given = ok("events list --format json").json()[0]["message"]
    assert given == f"+1{HOSTILE}"  # escaped, not lost


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_finds_no_formula(home: Path, start: str) -> None:
    formula = f"{start}HYPERLINK(1)"
    path = write_lines(home / "events.jsonl", [event(1, "disk_full", formula, message=formula)])
    ok("events submit", path)
    for command in ("events list --format csv", "incidents list --format csv"):
        rows = list(csv.reader(io.StringIO(ok(command).out)))
        assert not [cell for cell in rows[1] if cell.startswith(start)]
    replayed = ok(
        "replay --rules rules.yaml --isolation inline --format csv --events events.jsonl"
    ).out
    cells = [cell for row in csv.reader(io.StringIO(replayed)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(start)]


def test_numbers_stay_numbers_in_csv(home: Path) -> None:
    path = write_lines(home / "events.jsonl", [event(1, message="-5.5")])
    ok("events submit", path)
    assert ",-5.5," in ok("events list --format csv").out


def test_json_keeps_every_letter(home: Path) -> None:
    message = "naïve 東京 \U0001f514"
    path = write_lines(home / "events.jsonl", [event(1, message=message)])
    ok("events submit", path)
    assert json.loads(ok("events list --format json").out)[0]["message"] == message
    assert message in ok("events list").out
