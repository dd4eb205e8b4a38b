"""`tocsin incidents`: what there is, told to people and to machines."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from cli.support import cli, moment, ok, refused, unbroken

pytestmark = pytest.mark.usefixtures("world")


def ids(line: str) -> set[str]:
    return {row["title"] for row in ok(f"incidents list --format json {line}").json()}


def identity(title: str) -> str:
    found = {row["title"]: row["id"] for row in ok("incidents list --format json").json()}
    return str(found[title])


BURST, DB, WEB = "3 errors from api within 1m", "Disk full on db", "Disk full on web"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("", {BURST, DB, WEB}),
        ("--status active", {BURST, DB, WEB}),
        ("--status detected --status closed", {BURST, DB, WEB}),
        ("--status resolved", set()),
        ("--severity critical", {DB, WEB}),
        ("--severity low", set()),
        ("--type error_burst", {BURST}),
        ("--component db", {DB}),
        ("--component d", set()),
        ("--since 2026-01-01T00:00:10Z", {DB, WEB}),
        ("--since 2026-01-01T01:00:11+01:00", {WEB}),
        ("--since 3650d", {BURST, DB, WEB}),
        ("--since 1s", set()),
        ("--severity critical --component web --type disk_space_low", {WEB}),
    ],
)
def test_list_filters(filters: str, expected: set[str]) -> None:
    assert ids(filters) == expected


def test_list_gives_the_newest_first_and_no_more_than_asked_for() -> None:
    rows = ok("incidents list --limit 2 --format json").json()
    assert [row["title"] for row in rows] == [WEB, DB]


def test_list_as_json_leaves_out_what_is_long_and_keeps_the_rest() -> None:
    row = ok("incidents list --type error_burst --format json").json()[0]
    assert not {"events", "timeline", "post_mortem"} & set(row)
    assert row["event_count"] == 3
    assert row["group"] == {"source": "api"}
    assert row["recommended_actions"] == ["clear_cache"]
    assert row["mttd_seconds"] == 2
    assert row["detected_at"] == "2026-01-01T00:00:02Z"


def test_list_as_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(ok("incidents list --format csv").out)))
    assert list(rows[0]) == [
        "id",
        "severity",
        "status",
        "type",
        "title",
        "components",
        "events",
        "detected_at",
    ]
    assert [row["events"] for row in rows] == ["1", "1", "3"]
    assert moment(rows[0]["detected_at"]) == moment("2026-01-01T00:00:11Z")


def test_list_as_a_table() -> None:
    text = unbroken(ok("incidents list --format table").out)
    assert f"high detected error_burst {BURST} api 3 2026-01-01T00:00:02Z" in text


@pytest.mark.parametrize("style", ["table", "json", "csv"])
def test_list_of_nothing(style: str) -> None:
    expected = {
        "table": "no incidents\n",
        "json": "[]\n",
        "csv": "id,severity,status,type,title,components,events,detected_at\n",
    }
    outcome = ok("incidents list --type nothing --format", style)
    assert outcome.out == expected[style]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--limit 0", "0 is not in the range"),
        ("--limit many", "'many' is not a valid integer"),
        ("--severity urgent", "'urgent' is not one of 'low', 'medium', 'high', 'critical'"),
        ("--status open", "'open' is not one of 'active', 'detected'"),
        ("--format xml", "'xml' is not one of"),
        ("--since yesterday", "expected a span such as '24h' or an ISO date, found 'yesterday'"),
        ("--since 2026-01-01T00:00", "expected a time zone"),
        ("--sevrity low", "Did you mean '--severity'?"),
        ("more", "unexpected extra argument (more)"),
    ],
)
def test_list_refuses_what_it_does_not_know(options: str, said: str) -> None:
    assert said in refused(f"incidents list {options}")


def test_since_takes_a_date_as_its_help_says() -> None:
    assert ids("--since 2026-01-01") == {BURST, DB, WEB}


def test_what_since_suggests_is_accepted() -> None:
    said = refused("incidents list --since", "2026-01-01T00:00")
    suggested = re.search(r"such as '([^']+)'", said)
    assert suggested is not None
    ok("incidents list --since", suggested[1])


def test_get_takes_the_beginning_of_an_id() -> None:
    whole = identity(BURST)
    text = unbroken(ok("incidents get", whole[:12]).out)
    assert text.startswith(f"{whole} high detected {BURST} type: error_burst rule: error_burst")
    assert "events: 3" in text
    assert "recommended: clear_cache" in text
    assert "assignee" not in text  # nobody: not worth a line


def test_get_with_more() -> None:
    whole = identity(BURST)
    text = unbroken(ok("incidents get --timeline --postmortem", whole).out)
    assert f"detection error_burst detected: {BURST}" in text
    assert "no post-mortem has been written" in text
    assert "event id" not in text
    assert "2026-01-01T00:00:01Z error api low e1" in unbroken(
        ok("incidents get --full", whole).out
    )


def test_get_as_json_gives_what_is_asked_for() -> None:
    whole = identity(BURST)
    brief = ok("incidents get --format json", whole).json()
    assert not {"events", "timeline", "post_mortem"} & set(brief)
    some = ok("incidents get --format json --timeline --postmortem", whole).json()
    assert [entry["kind"] for entry in some["timeline"]] == ["event"] * 3 + ["detection"]
    assert some["post_mortem"] is None
    assert "events" not in some
    full = ok("incidents get --format json --full", whole).json()
    assert [event["event_id"] for event in full["events"]] == ["e0", "e1", "e2"]
    assert full["timeline"] == some["timeline"]


@pytest.mark.parametrize("command", ["incidents get", "incidents timeline"])
def test_an_id_that_fits_nothing_or_too_much(command: str) -> None:
    said = refused(command, "inc_nothing")
    assert said == (
        "tocsin: there is no incident 'inc_nothing'; `tocsin incidents list` shows them\n"
    )
    several = refused(command, "inc_")
    assert "'inc_' is the beginning of several ids: " in several
    assert identity(DB) in several
    assert "there is no incident '%'" in refused(command, "%")
    assert "Missing argument 'ID'" in refused(command)


def test_timeline() -> None:
    whole = identity(BURST)
    text = unbroken(ok("incidents timeline", whole).out)
    assert "2026-01-01T00:00:00Z event api error" in text
    rows = ok("incidents timeline --format json", whole).json()
    assert [moment(row["at"]).second for row in rows] == [0, 1, 2, 2]
    newest = ok("incidents timeline --limit 1 --format json", whole).json()
    assert newest == rows[-1:]
    table = ok("incidents timeline --format csv", whole).out.splitlines()
    assert table[:2] == ["at,kind,source,text", "2026-01-01T00:00:00Z,event,api,error"]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ("--event-type error", ["event"] * 3),
        ("--event-type other", []),
        ("--source api", ["event"] * 3),
        ("--source error_burst", ["detection"]),
        ("--source api --limit 2", ["event"] * 2),
    ],
)
def test_timeline_filters(options: str, kinds: list[str]) -> None:
    rows = ok(f"incidents timeline --format json {options}", identity(BURST)).json()
    assert [row["kind"] for row in rows] == kinds


def test_timeline_without_a_fitting_entry() -> None:
    outcome = ok("incidents timeline --source nobody", identity(BURST))
    assert outcome.out == "the timeline has no such entry\n"
    assert "0 is not in the range" in refused("incidents timeline x --limit 0")


def test_stats() -> None:
    text = unbroken(ok("incidents stats").out)
    for figure in (
        "total_incidents 3",
        "active_incidents 3",
        "mttr_seconds -",
        "status detected 3",
    ):
        assert figure in text
    both = unbroken(ok("incidents stats --by-type --by-severity").out)
    assert "severity critical 2 severity high 1 type disk_space_low 2 type error_burst 1" in both
    assert "status detected" not in both


def test_stats_as_json() -> None:
    found = ok("incidents stats --since 2026-01-01T00:00:05Z --format json").json()
    assert found["total_incidents"] == 2
    assert found["by_type"] == {"disk_space_low": 2}
    assert found["mttd_seconds"] == 0
    assert found["mttr_seconds"] is None


def test_stats_as_csv_leaves_a_figure_that_is_not_known_empty() -> None:
    text = ok("incidents stats --format csv").out
    rows = {row["figure"]: row["value"] for row in csv.DictReader(io.StringIO(text))}
    assert rows["total_incidents"] == "3"
    assert rows["mttr_seconds"] == ""


def test_commands_need_a_database_and_do_not_make_one(world: Path) -> None:
    for path in world.glob("tocsin.db*"):
        path.unlink()
    for line in ("incidents list", "incidents get x", "incidents timeline x", "incidents stats"):
        outcome = cli(line)
        assert outcome.code == 2
        assert outcome.err == (
            "tocsin: there is no database 'tocsin.db' yet: `tocsin run` makes it"
            " (--config names the settings)\n"
        )
    assert not list(world.glob("tocsin.db*"))
