"""`tocsin replay`: recorded events through rules, nothing kept, the same on every run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from cli.support import RULES, cli, event, ok, refused, write_lines

INLINE = "replay --isolation inline"
BURST = [event(1), event(2), event(3), event(4, "note"), event(5, "disk_full", "db")]
SSH = "Dec {day:2} 06:55:{:02} host sshd[200]: Failed password for root from 192.0.2.7 port 22 ssh2"


@pytest.fixture(autouse=True)
def _recorded(home: Path) -> None:
    write_lines(home / "events.jsonl", BURST)


def test_it_writes_detections_and_incidents_in_the_order_of_the_events(home: Path) -> None:
    outcome = ok(f"{INLINE} --rules rules.yaml --events events.jsonl --format json")
    rows = outcome.rows()
    assert [(row["kind"], row["detected_at"], row["severity"]) for row in rows] == [
        ("detection", "2026-01-01T00:00:03Z", "high"),
        ("incident", "2026-01-01T00:00:03Z", "high"),
        ("detection", "2026-01-01T00:00:05Z", "critical"),
        ("incident", "2026-01-01T00:00:05Z", "critical"),
    ]
    detection, incident = rows[:2]
    assert detection["rule_id"] == "error_burst"
    assert detection["group"] == {"source": "api"}
    assert detection["incident_type"] == "error_burst"
    assert detection["event_ids"] == ["e1", "e2", "e3"]
    assert detection["incident_id"] == incident["id"]
    assert outcome.err == "5 events, 0 duplicates, 0 late, 0 quarantined, 0 lines skipped\n"
    assert not (home / "tocsin.db").exists()


def test_it_is_the_same_on_every_run_and_wherever_the_engine_runs() -> None:
    runs = {
        ok(f"replay --isolation {isolation} --rules rules.yaml --events events.jsonl").out
        for isolation in ("inline", "inline", "process")
    }
    assert len(runs) == 1


def test_events_from_standard_input(home: Path) -> None:
    from_file = ok(f"{INLINE} --rules rules.yaml --events events.jsonl")
    given = (home / "events.jsonl").read_bytes()
    assert ok(f"{INLINE} --rules rules.yaml --events -", stdin=given) == from_file
    assert ok(f"{INLINE} --rules rules.yaml --events -").out == ""


def test_the_rules_of_the_settings_are_the_default(home: Path) -> None:
    named = ok(f"{INLINE} --rules rules.yaml --events events.jsonl")
    assert ok(f"{INLINE} --events events.jsonl") == named
    changed = "rulesets: [rules.yaml]\nrules: {error_burst: {threshold: 4}}\n"
    (home / "other.yaml").write_text(changed, encoding="utf-8")
    rows = ok(f"{INLINE} --events events.jsonl --config other.yaml").rows()
    assert {row["rule_id"] for row in rows} == {"disk_full"}


@pytest.mark.parametrize(
    "options",
    [
        "--rules one.yaml two.yaml --events events.jsonl",
        "--rules one.yaml --rules two.yaml --events events.jsonl",
        "--events events.jsonl --rules one.yaml two.yaml",
        "--rules one.yaml --events events.jsonl --rules two.yaml",
        "--rules=one.yaml --rules=two.yaml --events=events.jsonl",
        "--rules folder --events events.jsonl",
    ],
)
def test_several_rulesets(home: Path, options: str) -> None:
    (home / "folder").mkdir()
    for folder in (home, home / "folder"):
        first, _, second = RULES.partition("  - id: disk_full")
        head = first.replace("ruleset: shop", "ruleset: one")
        (folder / "one.yaml").write_text(head, encoding="utf-8")
        text = f"ruleset: two\nrules:\n  - id: disk_full{second}"
        (folder / "two.yaml").write_text(text, encoding="utf-8")
    rows = ok(f"{INLINE} {options}").rows()
    assert {row["rule_id"] for row in rows} == {"error_burst", "disk_full"}


def test_rules_without_a_path_are_refused() -> None:
    """A shell variable that is empty must not mean other rules than those that were meant."""
    assert "--rules" in refused(f"{INLINE} --rules --events events.jsonl")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--rules rules.yaml", "Missing option '--events'"),
        ("", "Missing option '--events'"),
        ("--events events.jsonl --rules", "'--rules' requires a path"),
        ("--events events.jsonl --rules ''", "'--rules' requires a path"),
        ("--events events.jsonl --rules=", "'--rules' requires a path"),
        ("--events missing", "missing: cannot be read: No such file or directory"),
        ("--events .", ".: cannot be read: Is a directory"),
        ("--events events.jsonl --rules missing.yaml", "missing.yaml: cannot be read: "),
        ("--events events.jsonl more", "unexpected extra argument (more)"),
        ("--events events.jsonl --timezone Mars/Base", "--timezone: there is no time zone"),
        ("--events events.jsonl --timezone ../../etc/passwd", "--timezone: there is no time zone"),
        ("--events events.jsonl --isolation thread", "'thread' is not one of"),
        ("--events events.jsonl --allowed-lateness x", "expected a duration such as '30s'"),
        ("--events events.jsonl --year x --source-pattern sshd", "'x' is not a valid integer"),
        ("--events events.jsonl --year 0 --source-pattern sshd", "'--year'"),
        ("--events events.jsonl --year 99999 --source-pattern sshd", "'--year'"),
        ("--events events.jsonl --format xml", "'xml' is not one of"),
    ],
)
def test_what_it_refuses(options: str, said: str) -> None:
    assert said in refused(f"{INLINE} {options}")


def test_lines_that_are_no_events_stop_it_or_are_counted(home: Path) -> None:
    write_lines(home / "bad.jsonl", [event(1), "nonsense", event(2), "{}", "", event(3)])
    said = refused(f"{INLINE} --rules rules.yaml --events bad.jsonl")
    assert said.startswith("bad.jsonl:2:1: expected one JSON object on the line")
    assert "bad.jsonl:4:1: missing field 'event_id'\n" in said
    outcome = ok(f"{INLINE} --rules rules.yaml --events bad.jsonl --skip-invalid")
    assert len(outcome.rows()) == 2
    assert outcome.err == "3 events, 0 duplicates, 0 late, 0 quarantined, 2 lines skipped\n"


def test_a_line_that_is_too_long_can_be_skipped(home: Path) -> None:
    long = "x" * (17 * 1024 * 1024)
    write_lines(home / "long.jsonl", [long, event(1, "disk_full")])
    said = refused(f"{INLINE} --rules rules.yaml --events long.jsonl")
    assert said == "long.jsonl:1:1: expected lines of at most 16777216 bytes\n"
    outcome = ok(f"{INLINE} --rules rules.yaml --events long.jsonl --skip-invalid")
    assert len(outcome.rows()) == 2


def test_garbage_is_skipped_line_by_line(home: Path) -> None:
    (home / "garbage").write_bytes(b"\xff\xfe\x00\n" * 10 + event(1, "disk_full").encode())
    outcome = ok(f"{INLINE} --rules rules.yaml --events garbage --skip-invalid")
    assert len(outcome.rows()) == 2
    assert "10 lines skipped" in outcome.err


def test_a_repeated_event_counts_once(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1), event(1), event(2)])
    outcome = ok(f"{INLINE} --rules rules.yaml --events events.jsonl")
    assert outcome.out == ""
    assert outcome.err.startswith("2 events, 1 duplicate,")


def test_allowed_lateness_puts_events_in_order(home: Path) -> None:
    lines = [event(1), event(2), event(3), event(59, "note"), event(4)]
    write_lines(home / "events.jsonl", lines)
    ordered = ok(f"{INLINE} --rules rules.yaml --events events.jsonl --allowed-lateness 2m")
    assert "0 late" in ordered.err
    assert [row["kind"] for row in ordered.rows()][:2] == ["detection", "incident"]


def test_as_csv() -> None:
    text = ok(f"{INLINE} --rules rules.yaml --events events.jsonl --format csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["kind", "at", "rule_id", "severity", "group", "title", "events", "id"]
    assert [row["kind"] for row in rows] == ["detection", "incident"] * 2
    assert rows[0]["group"] == "source=api"
    assert rows[0]["events"] == "3"


def test_as_a_table() -> None:
    text = ok(f"{INLINE} --rules rules.yaml --events events.jsonl --format table").out
    assert "2026-01-01T00:00:03Z" in text
    assert "3 errors from api within 1m" in text


# -- logs -------------------------------------------------------------------------------------


def ssh_rules(home: Path) -> None:
    pytest.importorskip("tocsin_logs")
    text = """\
ruleset: logins
rules:
  - id: guessing
    title: Somebody guesses passwords
    incident_type: security_breach
    severity: high
    when: {event_type: ssh.failed_password}
    group_by: [metadata.address]
    window: {count: {gte: 3}, within: 1m}
"""
    (home / "logins.yaml").write_text(text, encoding="utf-8")
    lines = [SSH.format(second, day=10) for second in range(3)]
    write_lines(home / "auth.log", [*lines, "something else"])


def test_lines_of_a_log(home: Path) -> None:
    ssh_rules(home)
    line = f"{INLINE} --rules logins.yaml --events auth.log --source-pattern sshd"
    outcome = ok(line)
    detection = outcome.rows()[0]
    assert detection["group"] == {"metadata.address": "192.0.2.7"}
    assert detection["detected_at"] == "2000-12-10T06:55:02Z"
    assert "3 events" in outcome.err
    assert "1 line skipped" in outcome.err
    berlin = ok(f"{line} --year 2024 --timezone Europe/Berlin").rows()[0]
    assert berlin["detected_at"] == "2024-12-10T05:55:02Z"


def test_a_pattern_that_nobody_offers(home: Path) -> None:
    ssh_rules(home)
    said = refused(f"{INLINE} --events auth.log --source-pattern shd")
    assert said == "--source-pattern: there is no pattern 'shd'; did you mean 'sshd'?\n"


@pytest.mark.parametrize("options", ["--year 2024", "--timezone Europe/Berlin"])
def test_options_of_a_log_without_a_pattern_are_not_passed_over(options: str) -> None:
    outcome = cli(f"{INLINE} --rules rules.yaml --events events.jsonl {options}")
    assert outcome.code == 2
    assert "--source-pattern" in outcome.err


def test_incidents_hold_what_json_can_hold() -> None:
    for line in ok(f"{INLINE} --rules rules.yaml --events events.jsonl").out.splitlines():
        assert json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False) == line
