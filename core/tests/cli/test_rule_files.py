"""`tocsin rules lint` and `tocsin rules test`: files, and recorded events."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.support import RULES, cli, event, ok, refused, write_lines

pytestmark = pytest.mark.usefixtures("home")

MISTAKES = """\
ruleset: shop
descripton: x
rules:
  - id: "A B"
    titel: x
    severity: urgent
    when: {event_type: {is: error}}
    window: {count: {gte: ten}, within: 5 parsecs}
    group_by: source
  - id: b
    title: "{nosuch}"
    incident_type: error_burst
    severity: high
    when: {metadata.x: {matches: "(["}}
    window: {count: {gte: 5}, within: 5m}
    recommend: block
"""
UNTESTED = """\
ruleset: untested
rules:
  - {id: one, title: t, incident_type: deadlock, severity: low, when: {event_type: x}}
"""


def rules(home: Path, text: str, name: str = "other.yaml") -> str:
    (home / name).write_text(text, encoding="utf-8")
    return name


def test_lint_of_the_settings_and_of_files(home: Path) -> None:
    assert ok("rules lint").out == "rules.yaml: 4 rules, no mistakes\n"
    found = ok("rules lint rules.yaml", rules(home, UNTESTED))
    assert "rules.yaml: 4 rules, no mistakes\n" in found.out
    assert "other.yaml: 1 rule" in found.out
    assert found.err == "other.yaml: warning: 1 of 1 rules have no tests: one\n"


def test_lint_of_a_folder(home: Path) -> None:
    (home / "folder").mkdir()
    assert refused("rules lint folder") == ("folder: expected ruleset files (*.yaml), found none\n")
    rules(home, RULES, "folder/a.yaml")
    assert ok("rules lint folder").out == "folder/a.yaml: 4 rules, no mistakes\n"


def test_lint_tells_all_mistakes_with_their_places(home: Path) -> None:
    said = refused("rules lint", rules(home, MISTAKES)).splitlines()
    places = {line.split(": ")[0].removeprefix("other.yaml:") for line in said}
    assert places == {
        "2:1",
        "4:5",
        "4:9",
        "5:5",
        "6:15",
        "7:25",
        "8:27",
        "8:41",
        "9:15",
        "11:12",
        "14:34",
        "16:16",
    }
    text = "\n".join(said)
    assert "unknown field 'titel'; did you mean 'title'?" in text
    assert "unknown operator 'is'; operators: eq, ne," in text
    assert "expected a duration such as '30s', '5m' or '1h30m', found '5 parsecs'" in text
    assert "not a pattern in RE2 syntax" in text


def test_lint_speaks_of_lists_and_not_of_tuples(home: Path) -> None:
    said = refused("rules lint", rules(home, MISTAKES))
    assert "tuple" not in said
    assert "dictionary" not in said


def test_lint_tells_a_mistake_once_where_a_file_is_named_twice(home: Path) -> None:
    name = rules(home, MISTAKES)
    assert refused("rules lint", name, name) == refused("rules lint", name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "expected a ruleset, found nothing"),
        (b"rules: [\n", ":2:1: not valid YAML"),
        (b"\xff\xfe", ":1:1: expected UTF-8, found byte 0xff"),
        (b"a: &a [*a]\n", "other.yaml"),
        (b"[]\n", "other.yaml:1:1: "),
        (b"ruleset: x\nrules: !!python/object:os.system x\n", ":2:8: "),
        (b"ruleset: x\nruleset: y\nrules: []\n", ":2:1: duplicate key 'ruleset'"),
    ],
)
def test_files_that_are_no_rulesets(home: Path, text: bytes, said: str) -> None:
    (home / "other.yaml").write_bytes(text)
    for command in ("rules lint", "rules test", "replay --events x --rules"):
        assert said in refused(command, "other.yaml")


def test_missing_files() -> None:
    said = "missing.yaml: cannot be read: No such file or directory\n"
    assert refused("rules lint missing.yaml") == said
    both = refused("rules lint missing.yaml absent.yaml")
    assert "missing.yaml: " in both
    assert "absent.yaml: " in both


def test_a_name_that_is_neither_a_file_nor_a_rule() -> None:
    said = refused("rules test missing.yaml")
    assert "missing.yaml" in said
    assert "file" in said
    assert "did you mean 'error_burst'?" in refused("rules test eror_burst")


def test_the_tests_of_rules_pass(home: Path) -> None:
    assert ok("rules test").out == "5 passed, 0 failed\n"
    assert ok("rules test error_burst disk_full").out == "3 passed, 0 failed\n"
    assert ok("rules test", rules(home, UNTESTED)).out == "0 passed, 0 failed\n"
    rows = ok("rules test error_burst --format json").json()
    assert rows == [
        {"rule": "error_burst", "test": "three fire", "passed": True, "problems": []},
        {"rule": "error_burst", "test": "two do not", "passed": True, "problems": []},
    ]


def test_tests_that_fail_end_with_1(home: Path) -> None:
    name = rules(home, RULES.replace("at: 2s, group", "at: 3s, group"))
    outcome = cli("rules test", name)
    assert outcome.code == 1
    assert outcome.out.startswith("FAILED error_burst: three fire\n  expected a detection at 3s")
    assert outcome.out.endswith("4 passed, 1 failed\n")
    assert outcome.err == ""
    assert [row["passed"] for row in cli("rules test --format json", name).json()].count(False) == 1


def test_tests_judge_rules_as_they_are_written() -> None:
    ok("rules update error_burst --threshold 50")
    ok("rules disable error_burst")
    assert ok("rules test error_burst").out == "2 passed, 0 failed\n"


def test_recorded_events_are_judged_as_operators_changed_the_rules(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1), event(2), event(3)])
    text = ok("rules test error_burst --events events.jsonl").out
    assert text.startswith(
        "detection  2026-01-01T00:00:03Z  error_burst  high  3 errors from api within 1m"
        "  source=api\n3 events, 1 detection"
    )
    ok("rules update error_burst --threshold 4")
    text = ok("rules test error_burst --events events.jsonl").out
    assert text == "3 events, 0 detections; nothing was stored\n"
    assert "1 detection" in ok("rules test rules.yaml --events events.jsonl").out


def test_recorded_events_as_json(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1, "disk_full")])
    outcome = ok("rules test disk_full --events events.jsonl --format json")
    assert "disk_full" in str(outcome.json())


def test_recorded_events_from_standard_input() -> None:
    text = ok("rules test disk_full --events -", stdin=event(1, "disk_full").encode()).out
    assert "1 detection" in text


def test_recorded_events_that_are_none(home: Path) -> None:
    write_lines(home / "events.jsonl", [event(1), "nonsense"])
    assert "events.jsonl:2:" in refused("rules test error_burst --events events.jsonl")
    said = refused("rules test error_burst --events missing.jsonl")
    assert said == "missing.jsonl: cannot be read: No such file or directory\n"
