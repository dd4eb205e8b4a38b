"""Settings: the form of tocsin.yaml, what is filled in, and what is said of mistakes."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tocsin import IncidentManager, Settings
from tocsin.errors import ConfigError
from tocsin.models import IncidentSeverity
from tocsin.references import redact
from tocsin.settings import Loaded, load_settings
from tocsin.store.database import database_url

SECRET = "hunter2-is-secret"
ENVIRONMENT = {"SECRET": SECRET, "EMPTY": "", "NUMBER": "17"}


def load(text: str, folder: Path, environment: Mapping[str, str] = ENVIRONMENT) -> Loaded:
    path = folder / "tocsin.yaml"
    path.write_text(text)
    return load_settings(path, environment=environment)


def mistakes(text: str, folder: Path) -> list[str]:
    """Give the messages without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load(text, folder)
    start = f"{folder / 'tocsin.yaml'}:"
    lines = str(caught.value).splitlines()
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


# -- form ------------------------------------------------------------------------------------------


def test_the_form_of_the_file(tmp_path: Path) -> None:
    loaded = load(
        """
        incident_response:
          enabled: true
          detection: {event_retention_seconds: 3600}
          notifications:
            slack: {enabled: true, webhook_url: "${SECRET}"}
            pagerduty: {enabled: false, api_key: "${SECRET}", min_severity: critical}
        """,
        tmp_path,
    )
    response = loaded.settings.incident_response
    assert response.enabled
    assert response.detection.event_retention_seconds == 3600
    slack, pagerduty = response.notifications["slack"], response.notifications["pagerduty"]
    assert (slack.enabled, slack.model_extra) == (True, {"webhook_url": SECRET})
    assert (pagerduty.enabled, pagerduty.min_severity) == (False, IncidentSeverity.CRITICAL)


def test_everything_at_once(tmp_path: Path) -> None:
    settings = load(
        """
        database: postgresql://tocsin@localhost/tocsin
        stream: shop.eu-1
        incident_response:
          detection:
            allowed_lateness: 10s
            max_ahead: 5m
            idle_after: 500ms
            isolation: inline
            worker_deadline: 5
            queue_size: 100
            deduplication: {within: 1h, ids: 10}
          response: {quiet_for: 5m, check_every: 10s, give_up_after: 1h30m}
        sources:
          machine: {use: host, interval: 10s}
        rulesets: [installed, own.yaml]
        rules:
          error_burst: {enabled: false, threshold: 20, within: 10m, severity: high}
        plugins: {disable: [logs]}
        """,
        tmp_path,
    ).settings
    detection, response = settings.incident_response.detection, settings.incident_response.response
    assert (settings.database, settings.stream) == (
        "postgresql://tocsin@localhost/tocsin",
        "shop.eu-1",
    )
    assert (detection.allowed_lateness, detection.max_ahead) == (10_000_000, 300_000_000)
    assert (detection.idle_after, detection.worker_deadline) == (0.5, 5)
    assert (detection.deduplication.within, detection.deduplication.ids) == (3_600_000_000, 10)
    assert (response.quiet_for, response.check_every, response.give_up_after) == (
        300_000_000,
        10,
        5400,
    )
    machine = settings.sources["machine"]
    assert (machine.use, machine.model_extra) == ("host", {"interval": "10s"})
    assert settings.rulesets == ("installed", "own.yaml")
    assert settings.rules["error_burst"].changes() == {
        "enabled": False,
        "threshold": 20,
        "within": 600_000_000,
        "severity": "high",
    }
    assert settings.plugins.disable == ("logs",)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "---\n"])
def test_an_empty_file_is_the_defaults(tmp_path: Path, text: str) -> None:
    assert load(text, tmp_path).settings == Settings()


def test_the_defaults() -> None:
    settings = load_settings(None).settings
    detection = settings.incident_response.detection
    assert (settings.database, settings.stream) == ("tocsin.db", "main")
    assert (detection.event_retention_seconds, detection.isolation) == (3600, "process")
    assert (detection.deduplication.within, detection.deduplication.ids) == (600_000_000, 200_000)
    assert list(settings.incident_response.notifications) == ["log"]


def test_a_mapping_is_the_same(tmp_path: Path) -> None:
    mapping = {"stream": "shop", "incident_response": {"detection": {"max_ahead": "1m"}}}
    assert (
        load_settings(mapping).settings
        == load("stream: shop\nincident_response: {detection: {max_ahead: 1m}}", tmp_path).settings
    )


def test_settings_from_python_stay_as_they_are() -> None:
    settings = Settings.model_validate({"stream": "a$b".replace("$", "-"), "rulesets": []})
    assert load_settings(settings).settings is settings


@pytest.mark.parametrize(
    "text",
    [
        "stream: 'a b'",
        "stream: ''",
        "database: ''",
        "incident_response: {enabled: 'yes'}",
        "incident_response: {detection: {queue_size: 0}}",
        "incident_response: {detection: {queue_size: 1.5}}",
        "incident_response: {detection: {queue_size: true}}",
        "incident_response: {detection: {isolation: thread}}",
        "incident_response: {detection: {max_ahead: soon}}",
        "incident_response: {detection: {max_ahead: -1s}}",
        "incident_response: {detection: {event_retention_seconds: 0}}",
        "incident_response: {detection: {deduplication: {ids: -1}}}",
        "incident_response: {notifications: {log: {min_severity: awful}}}",
        "incident_response: []",
        "rules: {x: {threshold: -1}}",
        "rulesets: installed",
        "- a",
        "text",
    ],
)
def test_wrong_values_are_refused_with_their_place(tmp_path: Path, text: str) -> None:
    (line,) = mistakes(text, tmp_path)
    place, message = line.split(": ", 1)
    number, column = map(int, place.split(":"))
    assert number == 1
    assert 1 <= column <= len(text)
    assert "expected" in message or "should" in message or "must" in message


def test_all_mistakes_are_reported_together_in_order(tmp_path: Path) -> None:
    text = """\
stream: 'a b'
incident_response:
  detection:
    queue_size: none
    isolation: proces
nonsense: 1
"""
    assert mistakes(text, tmp_path) == [
        "1:9: text should match pattern '^[A-Za-z0-9_.-]{1,64}$', found 'a b'",
        "4:17: expected a whole number, found 'none'",
        "5:16: expected 'process' or 'inline', found 'proces'; did you mean 'process'?",
        f"6:1: unknown field 'nonsense'; known: {', '.join(Settings.model_fields)}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("databse: x", "1:1: unknown field 'databse'; did you mean 'database'?"),
        (
            "incident_response:\n  detection:\n    quue_size: 5",
            "3:5: unknown field 'quue_size'; did you mean 'queue_size'?",
        ),
        (
            "incident_response: {detection: {deduplication: {withn: 5s}}}",
            "1:49: unknown field 'withn'; did you mean 'within'?",
        ),
        (
            "rules:\n  error_burst: {treshold: 5}",
            "2:17: unknown field 'treshold'; did you mean 'threshold'?",
        ),
        ("stream: a\nstream: b", "2:1: duplicate key 'stream'"),
        ("stream: [a", "2:1: not valid YAML"),
        ("stream: !!python/object:x {}", "1:9: expected a value without a tag"),
    ],
)
def test_mistakes_with_near_names(tmp_path: Path, text: str, message: str) -> None:
    lines = mistakes(text, tmp_path)
    assert any(line.startswith(message) for line in lines), lines


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path)


# -- what is filled in -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SECRET}", SECRET),
        ("a ${SECRET} b", f"a {SECRET} b"),
        ("${SECRET}${SECRET}", SECRET * 2),
        ("${EMPTY}x", "x"),
        ("$$", "$"),
        ("$${SECRET}", "${SECRET}"),
        ("$$$${SECRET}", "$${SECRET}"),
        ("$$${SECRET}", f"${SECRET}"),
        ("a$b $c", "a$b $c"),
        ("${file:key}", "of the file"),
        ("<${file:sub/key}>", "<of the folder>"),
    ],
)
def test_variables_and_files(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "key").write_text("of the file\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "key").write_text("of the folder")
    assert load(f"database: '{text}'", tmp_path).settings.database == expected


def test_an_absolute_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x y\n\n")
    loaded = load_settings({"database": f"${{file:{tmp_path}/key}}"}, environment={})
    assert loaded.settings.database == "x y"


def test_everywhere_in_the_file(tmp_path: Path) -> None:
    settings = load(
        "rulesets: ['${SECRET}']\nsources: {a: {list: [1, {b: '${NUMBER}'}]}}", tmp_path
    ).settings
    assert settings.rulesets == (SECRET,)
    assert settings.sources["a"].model_extra == {"list": [1, {"b": "17"}]}


def test_what_a_variable_holds_is_not_filled_in_again(tmp_path: Path) -> None:
    environment = {"A": "${B} $$ ${file:/etc/hostname}", "B": "no"}
    settings = load("database: '${A}'", tmp_path, environment).settings
    assert settings.database == environment["A"]


def test_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_TESTS_VARIABLE", "here.db")
    assert load_settings({"database": "${TOCSIN_TESTS_VARIABLE}"}).settings.database == "here.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stream: a\ndatabase: '${NONE}'", "2:11: environment variable 'NONE' is not set"),
        ("database: 'x${NONE}y${NOT}'", "1:11: environment variable 'NONE' is not set"),
        ("rulesets: [a, '${NONE}']", "1:15: environment variable 'NONE' is not set"),
        ("database: '${}'", "1:11: expected ${NAME} or ${file:PATH}, found '${}'"),
        ("database: '${a-b}'", "1:11: expected ${NAME} or ${file:PATH}, found '${a-b}'"),
        ("database: '${file:none}'", "1:11: cannot read ${file:none}: No such file"),
        ("database: '${file:}'", "1:11: cannot read ${file:}: Is a directory"),
        ("database: '${file:binary}'", "1:11: cannot read ${file:binary}: not UTF-8"),
    ],
)
def test_what_cannot_be_filled_in(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert any(line.startswith(message) for line in mistakes(text, tmp_path))


@pytest.mark.parametrize("text", ["${SECRET", "${file:key"])
def test_a_reference_that_does_not_end(tmp_path: Path, text: str) -> None:
    assert mistakes(f"database: '{text}'", tmp_path) == [
        "1:11: expected '}' after '${'; where no reference is meant, write '$${'"
    ]


def test_a_secret_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x" * 65_537)
    assert mistakes("database: '${file:key}'", tmp_path) == [
        "1:11: cannot read ${file:key}: it is larger than 65536 bytes"
    ]
    (tmp_path / "key").write_text("x" * 65_536)
    assert len(load("database: '${file:key}'", tmp_path).settings.database) == 65_536


# -- secrets stay secret ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "stream: 'not ok ${SECRET}'",
        "stream: '${SECRET}!'",
        "incident_response: {detection: {queue_size: '${SECRET}'}}",
        "incident_response: {detection: {max_ahead: '${SECRET}'}}",
        "rules: {x: {severity: '${SECRET}'}}",
        "rulesets: {a: '${SECRET}'}",
        "database: ['${SECRET}']",
        "nonsense: '${SECRET}'",
    ],
)
def test_no_secret_in_messages(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "secret", ["hunter2" * 20, "hunter2\\n", "hunter2\nand more", "hunter2'\"", "hunter2\u200b"]
)
def test_no_secret_in_messages_whatever_it_is_made_of(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("stream: '${SECRET}'", tmp_path, {"SECRET": secret})
    assert "hunter2" not in str(caught.value)
    assert "found '${SECRET}'" in str(caught.value)


def test_no_secret_in_what_is_loaded(tmp_path: Path) -> None:
    loaded = load(
        """
        database: "${SECRET}"
        incident_response: {notifications: {log: {key: "${SECRET}"}}}
        sources: {a: {key: ["${SECRET}"]}}
        detectors: {a: {key: "${SECRET}"}}
        correlators: {a: {key: {key: "${SECRET}"}}}
        """,
        tmp_path,
    )
    for shown in (loaded, loaded.document, loaded.filled, loaded.settings):
        assert "hunter2" not in repr(shown)
        assert "hunter2" not in str(shown)
    assert "key=" in repr(loaded.settings.sources)


def test_no_secret_in_the_manager(tmp_path: Path) -> None:
    manager = IncidentManager({"database": f"postgresql://u:{SECRET}@127.0.0.1:9/x"})
    assert "hunter2" not in repr(manager)
    assert "hunter2" not in str(manager)
    del tmp_path


async def test_no_secret_in_what_a_start_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_TESTS_SECRET", SECRET)
    password = "${TOCSIN_TESTS_SECRET}"
    manager = IncidentManager({"database": f"postgresql://u:{password}@127.0.0.1:9/x"})
    with pytest.raises(Exception, match="Connection refused") as caught:
        await manager.start()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_secrets_are_known_so_that_they_can_be_hidden(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the file")
    text = "database: 'x${SECRET}'\nrulesets: ['${file:key}', '${EMPTY}']"
    assert load(text, tmp_path).secrets == {SECRET, "of the file"}


def test_what_was_written_is_kept_beside(tmp_path: Path) -> None:
    loaded = load("database: 'x${SECRET}'", tmp_path)
    assert loaded.document.data == {"database": "x${SECRET}"}
    assert loaded.filled.data == {"database": f"x{SECRET}"}
    assert loaded.directory == tmp_path


def test_settings_can_be_sent_to_another_process() -> None:
    settings = Settings.model_validate({"stream": "shop"})
    copied: Any = pickle.loads(pickle.dumps(settings))  # noqa: S301 - our own
    assert copied == settings


HARD = "p@ss/w:rd?#%25&x=y [1]"


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://tocsin:${SECRET}@db:5432/name",
        "postgresql://tocsin:${file:secrets/pass@word}@db:5432/name",
        "postgresql://${USER}:${SECRET}@${HOST}:5432/${NAME}",
        "postgresql://tocsin@db:5432/name?sslmode=require&password=${SECRET}",
    ],
)
def test_a_password_may_hold_any_character(tmp_path: Path, written: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pass@word").write_text(f"{HARD}\n", encoding="utf-8")
    path = tmp_path / "tocsin.yaml"
    path.write_text(f'database: "{written}"\n', encoding="utf-8")
    variables = {"SECRET": HARD, "USER": "tocsin", "HOST": "db", "NAME": "name"}
    loaded = load_settings(path, environment=variables)
    url = database_url(loaded.settings.database)
    password = url.query["password"] if "?" in written else url.password
    assert (url.username, password, url.host, url.port, url.database) == (
        "tocsin",
        HARD,
        "db",
        5432,
        "name",
    )
    assert loaded.settings.database not in redact(loaded.settings.database, loaded.secrets)


@pytest.mark.parametrize(
    ("written", "value", "whole"),
    [
        ("${X}", "postgresql://u:a%40b@h/n", "postgresql://u:a%40b@h/n"),
        ("postgresql://${X}@h/n", "u:a%40b", "postgresql://u:a%40b@h/n"),
        ("postgresql://u:p@${X}/n", "h:5432", "postgresql://u:p@h:5432/n"),
        ("postgresql://h/n?${X}", "a=b&c=d", "postgresql://h/n?a=b&c=d"),
        ("data/${X}.db", "a@b/c", "data/a@b/c.db"),
        ("postgresql://u:${X}@h/n", "plain-1", "postgresql://u:plain-1@h/n"),
    ],
)
def test_elsewhere_a_url_is_as_it_is_filled_in(written: str, value: str, whole: str) -> None:
    loaded = load_settings({"database": written}, environment={"X": value})
    assert loaded.settings.database == whole
