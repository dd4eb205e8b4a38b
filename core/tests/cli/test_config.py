"""`tocsin config`, and which settings all commands read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cli.support import ok, refused

pytestmark = pytest.mark.usefixtures("home")


def settings(home: Path, text: str, name: str = "tocsin.yaml") -> Path:
    path = home / name
    path.write_text(text, encoding="utf-8")
    return path


def test_show_gives_everything_and_can_be_read_again(home: Path) -> None:
    text = ok("config show --format yaml").out
    shown = yaml.safe_load(text)
    assert shown["rulesets"] == ["rules.yaml"]
    assert shown["incident_response"]["detection"]["isolation"] == "inline"
    assert shown["incident_response"]["detection"]["max_groups"] == 50_000
    assert ok("config show --format json").json() == shown
    assert ok("config show").out == text
    again = settings(home, text, "again.yaml")
    assert ok("config show --config", again).out == text


def test_get_goes_down_to_one_setting() -> None:
    assert ok("config get incident_response.detection.isolation").out == "inline\n"
    assert ok("config get incident_response.enabled").out == "true\n"
    assert ok("config get rulesets").json() == ["rules.yaml"]
    assert ok("config get incident_response.detection.deduplication").json()["ids"] == 200_000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("incident_respnse.enabled", "; did you mean 'incident_response'?"),
        ("incident_response.detction", "; did you mean 'detection'?"),
        ("stream.name", ""),
        ("nothing_like_it", ""),
    ],
)
def test_get_of_what_there_is_not(name: str, said: str) -> None:
    assert refused("config get", name) == f"config: there is no setting {name!r}{said}\n"


def test_check_says_what_is_in_use() -> None:
    assert ok("config check").out == (
        "settings: tocsin.yaml\n"
        "database: tocsin.db\n"
        "rules:    4 enabled, 0 disabled\n"
        "sources:  none\n"
        "notify:   nobody\n"
        "all is well\n"
    )


def test_check_counts_what_the_settings_disable(home: Path) -> None:
    settings(home, "rulesets: [rules.yaml]\nrules: {disk_full: {enabled: false}}\n")
    assert "rules:    3 enabled, 1 disabled\n" in ok("config check").out


def test_all_mistakes_in_the_settings_are_told_with_their_places(home: Path) -> None:
    settings(
        home,
        "databse: x.db\n"
        "stream: a b\n"
        "incident_response:\n"
        "  enabled: yes\n"
        "  detection:\n"
        "    isolation: thread\n"
        "    worker_deadline: soon\n"
        '    queue_size: "10"\n'
        "    allowed_latness: 4s\n"
        "  notifications: {log: {min_severity: urgent}}\n"
        "rules: {error_burst: {threshold: -1}}\n",
    )
    said = refused("config check").splitlines()
    assert [line.split(": ")[0] for line in said] == [
        "tocsin.yaml:1:1",
        "tocsin.yaml:2:9",
        "tocsin.yaml:4:12",
        "tocsin.yaml:6:16",
        "tocsin.yaml:7:22",
        "tocsin.yaml:8:17",
        "tocsin.yaml:9:5",
        "tocsin.yaml:10:39",
        "tocsin.yaml:11:34",
    ]
    assert said[0].endswith("unknown field 'databse'; did you mean 'database'?")
    assert said[4].endswith("expected a duration such as '30s', '5m' or '1h30m', found 'soon'")
    assert said[7].endswith("expected 'low', 'medium', 'high' or 'critical', found 'urgent'")


def test_names_of_things_that_are_not_installed_are_told_together(home: Path) -> None:
    settings(
        home,
        "plugins: {disable: [nothing, nobody]}\nsources: {a: {use: nowhere}}\n"
        "rulesets: [nope.yaml]\ndatabase: mysql://host/name\n",
    )
    said = refused("config check")
    assert "tocsin.yaml:1:20: cannot disable plugin 'nothing': it is not installed" in said
    assert "tocsin.yaml:1:20: cannot disable plugin 'nobody': it is not installed" in said
    assert "there is no source 'nowhere'" in said
    assert "tocsin.yaml:4:11: database 'mysql' is not supported" in said
    assert "ruleset 'nope.yaml' is neither an installed ruleset nor a file" in said


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("nowhere/tocsin.db", "the directory 'nowhere' of the database does not exist"),
        ("mysql://host/name", "database 'mysql' is not supported"),
        ("'sqlite:///:memory:'", "a database in memory would lose what was accepted"),
    ],
)
def test_check_looks_at_the_database_that_is_named(home: Path, database: str, said: str) -> None:
    settings(home, f"database: {database}\nrulesets: [rules.yaml]\n")
    assert said in refused("config check")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: [1\n", "tocsin.yaml:2:1: not valid YAML"),
        (b"a: \xff\n", "tocsin.yaml:1:4: expected UTF-8, found byte 0xff"),
        (b"rules: {}\nrules: {}\n", "tocsin.yaml:2:1: duplicate key 'rules'"),
        (b"- a\n- b\n", "tocsin.yaml:1:1: "),
        (b"\x00\x01\x02", "tocsin.yaml"),
    ],
)
def test_settings_that_cannot_be_read(home: Path, text: bytes, said: str) -> None:
    (home / "tocsin.yaml").write_bytes(text)
    assert said in refused("config show")


def test_which_settings_are_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(home, "stream: named\n", "named.yaml")
    settings(home, "stream: varied\n", "varied.yaml")
    assert ok("config get stream").out == "main\n"
    assert ok("config get stream -c named.yaml").out == "named\n"
    monkeypatch.setenv("TOCSIN_CONFIG", "varied.yaml")
    assert ok("config get stream").out == "varied\n"
    assert ok("config get stream --config named.yaml").out == "named\n"
    monkeypatch.setenv("TOCSIN_CONFIG", "")
    assert ok("config get stream").out == "main\n"
    monkeypatch.setenv("TOCSIN_CONFIG", "missing.yaml")
    assert refused("config get stream") == (
        "missing.yaml: cannot be read: No such file or directory\n"
    )


def test_without_settings_there_are_the_defaults(home: Path) -> None:
    (home / "tocsin.yaml").unlink()
    assert ok("config get database").out == "tocsin.db\n"
    assert "<mapping>" not in ok("config check").out


def test_a_directory_is_no_settings_file(home: Path) -> None:
    said = refused("config show --config", home)
    assert said == f"{home}: cannot be read: Is a directory\n"


# -- secrets ----------------------------------------------------------------------------------

SECRET = "hunter2-and-more"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TOCSIN_TEST_SECRET", SECRET)
    return SECRET


@pytest.mark.parametrize("style", ["yaml", "json"])
@pytest.mark.parametrize(
    "database",
    [
        "${TOCSIN_TEST_SECRET}",
        "postgresql://user:${TOCSIN_TEST_SECRET}@127.0.0.1:1/name",
        f"postgresql://user:{SECRET}@127.0.0.1:1/name",
        f"postgresql://user@127.0.0.1:1/name?password={SECRET}",
        f"mysql://user:{SECRET}@127.0.0.1:1/name",
    ],
)
def test_secrets_are_not_shown(home: Path, secret: str, database: str, style: str) -> None:
    settings(home, f"database: {json.dumps(database)}\nrulesets: [rules.yaml]\n")
    shown = ok("config show --format", style)
    assert secret not in shown.out + shown.err
    assert secret not in ok("config get database").out


def test_a_secret_in_a_list_stays_the_reference_that_it_is(home: Path, secret: str) -> None:
    settings(home, 'rulesets: ["${TOCSIN_TEST_SECRET}", rules.yaml]\n')
    assert ok("config get rulesets").json() == ["${TOCSIN_TEST_SECRET}", "rules.yaml"]
    assert secret not in ok("config show").out


@pytest.mark.parametrize(
    "text",
    [
        "stream: ${TOCSIN_TEST_SECRET} x\n",
        "incident_response: {detection: {isolation: '${TOCSIN_TEST_SECRET}'}}\n",
        "incident_response: {notifications: {log: {min_severity: '${TOCSIN_TEST_SECRET}'}}}\n",
        "rulesets: ['${TOCSIN_TEST_SECRET}']\n",
    ],
)
def test_messages_about_a_secret_do_not_show_it(home: Path, secret: str, text: str) -> None:
    settings(home, text)
    said = refused("config check")
    assert said.startswith("tocsin.yaml:1:")
    assert secret not in said


def test_a_variable_that_is_not_set(home: Path) -> None:
    settings(home, "database: ${TOCSIN_TEST_NOT_SET}\n")
    assert refused("config show") == (
        "tocsin.yaml:1:11: environment variable 'TOCSIN_TEST_NOT_SET' is not set\n"
    )


def test_a_short_secret_does_not_hide_other_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_TEST_SECRET", "a")
    settings(home, "stream: ${TOCSIN_TEST_SECRET}\nrulesets: [rules.yaml]\n")
    assert ok("config get rulesets").json() == ["rules.yaml"]
