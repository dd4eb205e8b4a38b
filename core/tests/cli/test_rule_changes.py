"""`tocsin rules`: what there is, and what operators change of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.support import cli, event, ok, refused, unbroken, write_lines

pytestmark = pytest.mark.usefixtures("home")
NEXT = "(from the next start on)"


def rule(identity: str) -> dict[str, Any]:
    found: dict[str, Any] = ok("rules show --format json", identity).json()
    return found


def opened(home: Path, *lines: str) -> list[str]:
    path = write_lines(home / "events.jsonl", lines)
    return [row["severity"] for row in ok("events submit --format json", path).json()["incidents"]]


def test_list() -> None:
    rows = ok("rules list --format json").json()
    assert [row["id"] for row in rows] == ["disk_full", "error_burst", "login_errors", "partition"]
    assert rows[1] == {
        "id": "error_burst",
        "enabled": True,
        "incident_type": "error_burst",
        "severity": "high",
        "threshold": 3,
        "within": "1m",
        "ruleset": "shop",
    }
    assert rows[0]["threshold"] is None
    text = unbroken(ok("rules list").out)
    assert "error_burst yes error_burst high 3 1m shop" in text
    assert "disk_full,yes,disk_space_low,critical,,,shop\n" in ok("rules list --format csv").out


def test_list_only_what_is_enabled() -> None:
    ok("rules disable disk_full partition")
    rows = ok("rules list --enabled --format json").json()
    assert [row["id"] for row in rows] == ["error_burst", "login_errors"]
    assert len(ok("rules list --format json").json()) == 4


def test_show() -> None:
    shown = rule("error_burst")
    assert shown["when"] == {"event_type": {"eq": "error"}}
    assert shown["window"] == {"count": {"gte": 3}, "within": "1m"}
    assert shown["tests"] == ["three fire", "two do not"]
    text = unbroken(ok("rules show error_burst").out)
    assert 'window: {"count":{"gte":3},"within":"1m"}' in text
    assert "unless" not in text  # there is nothing to say of it
    assert "rule 'eror_burst'; did you mean 'error_burst'?" in refused("rules show eror_burst")


def test_disable_and_enable(home: Path) -> None:
    lines = ok("rules disable disk_full error_burst").out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["disk_full", "error_burst"]
    assert all(line.endswith(NEXT) for line in lines)
    assert not rule("disk_full")["enabled"]
    assert opened(home, event(1, "disk_full")) == []
    ok("rules enable disk_full")
    assert opened(home, event(2, "disk_full")) == ["critical"]


def test_changes_are_told_in_the_words_of_the_tables() -> None:
    assert ok("rules disable disk_full").out == f"disk_full: enabled=no {NEXT}\n"
    assert ok("rules enable disk_full").out == f"disk_full: enabled=yes {NEXT}\n"


@pytest.mark.parametrize("command", ["rules enable", "rules disable", "rules update --threshold 5"])
def test_a_rule_that_does_not_exist_changes_nothing(command: str) -> None:
    said = refused(command, "eror_burst")
    assert said == "rules: there is no rule 'eror_burst'; did you mean 'error_burst'?\n"
    assert "Missing argument 'RULE" in refused(command)


def test_one_wrong_name_among_several_changes_none() -> None:
    refused("rules disable disk_full eror_burst")
    assert rule("disk_full")["enabled"]


def test_update(home: Path) -> None:
    line = "rules update error_burst --threshold 2 --time-window 5s --severity critical"
    assert ok(line).out == f"error_burst: threshold=2, within=5s, severity=critical {NEXT}\n"
    assert ok("rules update error_burst --require-consecutive").code == 0
    shown = rule("error_burst")
    assert shown["window"] == {"count": {"gte": 2}, "within": "5s"}
    assert (shown["severity"], shown["require_consecutive"]) == ("critical", True)
    ok("rules update error_burst --no-require-consecutive")
    assert rule("error_burst")["require_consecutive"] is False
    assert opened(home, event(1), event(2)) == ["critical"]


def test_reset_forgets_and_can_begin_anew() -> None:
    ok("rules update error_burst --threshold 7 --severity low")
    assert ok("rules update error_burst --reset --threshold 9").out == (
        f"error_burst: threshold=9 {NEXT}\n"
    )
    assert rule("error_burst")["severity"] == "high"
    assert ok("rules update error_burst --reset").out == (
        f"error_burst: as in its ruleset {NEXT}\n"
    )
    assert rule("error_burst")["window"]["count"] == {"gte": 3}


def test_a_stored_change_wins_over_the_settings(home: Path) -> None:
    text = (home / "tocsin.yaml").read_text(encoding="utf-8")
    changed = f"{text}rules: {{error_burst: {{threshold: 8, severity: medium}}}}\n"
    (home / "tocsin.yaml").write_text(changed, encoding="utf-8")
    assert rule("error_burst")["window"]["count"] == {"gte": 8}
    ok("rules update error_burst --threshold 9")
    shown = rule("error_burst")
    assert (shown["window"]["count"], shown["severity"]) == ({"gte": 9}, "medium")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("error_burst", "nothing to change; see `tocsin rules update --help`"),
        ("error_burst --threshold -1", "not in the range"),
        ("error_burst --threshold x", "'x' is not a valid float"),
        ("error_burst --time-window x", "expected a duration such as '30s'"),
        ("error_burst --time-window 9999d", "expected a duration from 0s to 3650d"),
        ("error_burst --severity urgent", "'urgent' is not one of"),
        ("disk_full --threshold 3", "rule 'disk_full' has no threshold that could change"),
        ("disk_full --time-window 3s", "rule 'disk_full' has no window whose length could change"),
        ("disk_full --require-consecutive", "rule 'disk_full' has no window"),
    ],
)
def test_update_refuses_what_cannot_be(line: str, said: str) -> None:
    assert said in refused(f"rules update {line}")


@pytest.mark.parametrize("threshold", ["nan", "inf", "1e300", "1e19"])
def test_a_threshold_is_a_number_that_can_be_kept(threshold: str) -> None:
    outcome = cli("rules update error_burst --threshold", threshold)
    assert "Traceback" not in outcome.err
    assert "pydantic" not in outcome.err
    if outcome.code == 0:  # then it has to be what holds from now on
        assert rule("error_burst")["window"]["count"]["gte"] == float(threshold)
    else:
        assert outcome.code == 2


def test_a_change_is_checked_like_a_ruleset(home: Path) -> None:
    text = (home / "rules.yaml").read_text(encoding="utf-8")
    (home / "other.yaml").write_text(text.replace("within: 1m", "within: 0s"), encoding="utf-8")
    assert "expected more than 0s" in refused("rules lint other.yaml")
    assert "more than 0s" in refused("rules update error_burst --time-window 0s")


def test_simulate_takes_a_rule_as_operators_changed_it() -> None:
    ok("rules disable error_burst")
    found = ok("simulate --type error_burst --format json").json()
    assert [row["title"] for row in found["incidents"]] == ["2 failed logins at simulated"]
    ok("rules disable disk_full")
    assert "'disk_space_low'" in refused("simulate --type disk_space_low")


def test_simulate_makes_what_a_changed_rule_needs() -> None:
    ok("rules update error_burst --threshold 7 --time-window 1s")
    found = ok("simulate --type error_burst --format json").json()
    assert found["accepted"] == 7
    assert [row["title"] for row in found["incidents"]] == ["7 errors from simulated within 1s"]
