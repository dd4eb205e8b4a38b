"""`tocsin simulate`: made-up events that bring an incident about."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cli.support import cli, moment, ok, refused, unbroken
from tocsin.models import IncidentType

pytestmark = pytest.mark.usefixtures("home")


def made(line: str) -> list[dict[str, Any]]:
    return ok(f"simulate --dry-run {line}").rows()


def test_it_opens_an_incident() -> None:
    text = ok("simulate --type error_burst --format table").out
    assert text.startswith("3 events accepted, 0 known already\n")
    assert "high error_burst 3 errors from simulated within 1m" in unbroken(text)
    events = ok("events list --format json").json()
    assert all(event["metadata"]["simulated"] is True for event in events)


def test_every_component_has_its_own() -> None:
    found = ok("simulate --type error_burst --components 'api, web' --format json").json()
    assert found["accepted"] == 6
    assert {row["title"] for row in found["incidents"]} == {
        "3 errors from api within 1m",
        "3 errors from web within 1m",
    }


def test_a_rule_that_asks_for_several_components_gets_them() -> None:
    found = ok("simulate --type network_partition --format json").json()
    assert [row["type"] for row in found["incidents"]] == ["network_partition"]


def test_one_is_not_written_as_many() -> None:
    text = ok("simulate --type disk_space_low").out
    assert text.startswith("1 event accepted, 0 known already\n")


def test_dry_run_stores_nothing() -> None:
    rows = made("--type error_burst --event-count 4 --time-span 30s --components a,b")
    assert [row["source"] for row in rows] == ["a", "b", "a", "b"]
    first, last = moment(rows[0]["timestamp"]), moment(rows[-1]["timestamp"])
    assert last - first == timedelta(seconds=30)
    assert len({row["event_id"] for row in rows}) == 4
    assert cli("events list").code == 2  # there is no database


def test_what_a_dry_run_prints_can_be_submitted() -> None:
    text = ok("simulate --type disk_space_low --dry-run").out
    assert ok("events submit --format json -", stdin=text.encode()).json()["accepted"] == 1


def test_severity_of_the_events() -> None:
    rows = made("--type error_burst --severity critical")
    assert {row["severity"] for row in rows} == {"critical"}


def test_severity_of_the_events_is_by_default_that_of_the_rule() -> None:
    rows = made("--type disk_space_low")
    assert {row["severity"] for row in rows} == {"critical"}


def test_a_certain_rule() -> None:
    rows = made("--type error_burst --rule login_errors")
    assert {row["event_type"] for row in rows} == {"login_failed"}
    assert {row["event_type"] for row in made("--type error_burst")} == {"error"}


def test_fewer_events_than_the_rule_needs_open_nothing() -> None:
    text = ok("simulate --type error_burst --event-count 2").out
    assert text == "2 events accepted, 0 known already\nno incident was opened\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "Missing option '--type'"),
        ("--type eror_burst", "opens 'eror_burst'; did you mean 'error_burst'?"),
        ("--type zzz", "; known: disk_space_low, error_burst, network_partition"),
        ("--type error_burst --rule login_erors", "; did you mean 'login_errors'?"),
        ("--type error_burst --rule disk_full", "; choose from: error_burst, login_errors"),
        ("--type error_burst --event-count 0", "0 is not in the range"),
        ("--type error_burst --time-span soon", "expected a duration such as '30s'"),
        ("--type error_burst --time-span 9999d", "expected a duration from 0s to 3650d"),
        ("--type error_burst --severity urgent", "'urgent' is not one of"),
    ],
)
def test_what_it_refuses(line: str, said: str) -> None:
    assert said in refused(f"simulate {line}")


def test_components_that_no_event_can_have() -> None:
    assert "components" in refused("simulate --type error_burst --components", "x" * 257)
    rows = made("--type disk_space_low --components ' , ,'")
    assert [row["source"] for row in rows] == ["simulated"]


@pytest.mark.parametrize("kind", list(IncidentType))
def test_every_type_of_the_installed_rules(
    kind: IncidentType, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("tocsin_rulesets")
    settings = tmp_path_factory.mktemp("installed") / "tocsin.yaml"
    more = {"detection": {"isolation": "inline"}, "notifications": {}}
    settings.write_text(json.dumps({"incident_response": more}), encoding="utf-8")
    line = f"simulate --type {kind.value} --components a,b,c --format json --config"
    found = ok(line, settings).json()
    assert kind.value in {row["type"] for row in found["incidents"]}
