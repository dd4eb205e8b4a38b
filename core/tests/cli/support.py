"""What the tests of the command line share."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tocsin.cli import main

RULES = """\
ruleset: shop
rules:
  - id: error_burst
    title: "{count} errors from {source} within {within}"
    incident_type: error_burst
    severity: high
    when: {event_type: error}
    group_by: [source]
    window: {count: {gte: 3}, within: 1m}
    recommend: [clear_cache]
    tests:
      - name: three fire
        events: [{repeat: 3, every: 1s, event_type: error, source: api}]
        expect: [{at: 2s, group: {source: api}, severity: high}]
      - name: two do not
        events: [{repeat: 2, every: 1s, event_type: error, source: api}]
        expect: []
  - id: login_errors
    title: "{count} failed logins at {source}"
    incident_type: error_burst
    severity: low
    when: {event_type: login_failed}
    group_by: [source]
    window: {count: {gte: 2}, within: 1m}
    tests:
      - name: two fire
        events: [{repeat: 2, every: 1s, event_type: login_failed, source: api}]
        expect: [{at: 1s}]
  - id: disk_full
    title: Disk full on {source}
    incident_type: disk_space_low
    severity: critical
    when: {event_type: disk_full}
    group_by: [source]
    tests:
      - name: one is enough
        events: [{event_type: disk_full, source: api}]
        expect: [{at: 0s, severity: critical}]
  - id: partition
    title: Nodes do not reach each other
    incident_type: network_partition
    severity: high
    when: {event_type: unreachable}
    min_components: 2
    window: {count: {gte: 2}, within: 1m}
    tests:
      - name: reports of two nodes fire
        events:
          - {event_type: unreachable, source: a}
          - {at: 1s, event_type: unreachable, source: b}
        expect: [{at: 1s}]
"""
# Inline: a process for the rules engine would double the time of a test. Nobody is told: what
# notifiers print is not looked at here.
SETTINGS = """\
rulesets: [rules.yaml]
incident_response:
  detection: {isolation: inline}
  notifications: {}
"""
AT = "2026-01-01T00:00:{:02}Z"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Give what it wrote as data."""
        return json.loads(self.out)

    def rows(self) -> list[dict[str, Any]]:
        """Give what it wrote, one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def cli(line: str, *more: str | Path, stdin: bytes = b"") -> Outcome:
    """Run a command in this process.

    Args:
        line: the command and its options as in a shell; the test of the options reads these.
        more: further arguments, for values that a test makes.
        stdin: what it reads.
    """
    out, err = io.StringIO(), io.StringIO()
    before, thresholds = sys.stdin, gc.get_threshold()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([*shlex.split(line), *map(str, more)])
    except SystemExit as end:
        assert isinstance(end.code, int)  # noqa: PT017 - an exit is how the program always ends
        return Outcome(end.code, out.getvalue(), err.getvalue())
    finally:
        sys.stdin = before
        # `replay` tunes the collector for the rest of its process, which here is the test's.
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    raise AssertionError("the program returned without an exit code")


def ok(line: str, *more: str | Path, stdin: bytes = b"") -> Outcome:
    """Run a command that must succeed."""
    outcome = cli(line, *more, stdin=stdin)
    assert outcome.code == 0, outcome
    return outcome


def refused(line: str, *more: str | Path, stdin: bytes = b"") -> str:
    """Run a command that must refuse its input; gives what it says."""
    outcome = cli(line, *more, stdin=stdin)
    assert (outcome.code, outcome.out) == (2, ""), outcome
    return outcome.err


def program(
    line: str, *more: str | Path, environment: Mapping[str, str] | None = None, **keywords: Any
) -> subprocess.Popen[bytes]:
    """Start the program as a process of its own."""
    command = [sys.executable, "-m", "tocsin", *shlex.split(line), *map(str, more)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keywords}
    return subprocess.Popen(command, env=environment, **pipes)


_PR_CAPBSET_DROP = 24
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def without_privileges(line: str) -> Outcome:
    """Run a command in a process to which the permissions of files apply, also where root tests."""
    restrict = _obey_permissions if os.geteuid() == 0 else None
    with program(line, preexec_fn=restrict) as process:
        out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), err.decode())


def _obey_permissions() -> None:
    """Keep from the program that is executed next what lets root open every file."""
    kernel = ctypes.CDLL(None, use_errno=True)
    for right in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        if kernel.prctl(_PR_CAPBSET_DROP, right, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot give up the rights of root")


def event(number: int, event_type: str = "error", source: str = "api", **more: Any) -> str:
    """Give an event as a line of JSON; its number is its id and its second."""
    fields = {
        "event_id": f"e{number}",
        "timestamp": AT.format(number),
        "event_type": event_type,
        "source": source,
        **more,
    }
    return json.dumps(fields)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write lines to a file."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def moment(text: str) -> datetime:
    """Read an instant of the output; it must name its time zone."""
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None
    return instant


def unbroken(text: str) -> str:
    """Give a table's text with single spaces, so that a test need not know how wide it is."""
    return " ".join(text.split())
