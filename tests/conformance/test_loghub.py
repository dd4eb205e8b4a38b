"""`tocsin replay` on a real sshd log gives exactly what an independent count gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_RULES = """
ruleset: sshd
rules:
  - id: guessing
    title: "{count} failed passwords from {metadata.address}"
    incident_type: security_breach
    severity: high
    when: {event_type: ssh.failed_password}
    group_by: [metadata.address]
    window: {count: {gte: 5}, within: 60s}
"""


def _run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_detections_equal_an_independent_count(data_dir: Path, tmp_path: Path) -> None:
    log = str(data_dir / "loghub" / "OpenSSH_2k.log")
    rules = tmp_path / "rules.yaml"
    rules.write_text(_RULES)
    script = Path(__file__).with_name("count_ssh_failures.py")
    expected = [line.split() for line in _run(str(script), log).splitlines()]

    replay = ["-m", "tocsin", "replay", "--rules", str(rules), "--events", log]
    output = _run(*replay, "--source-pattern", "sshd", "--format", "json")
    rows = [json.loads(line) for line in output.splitlines()]
    found = [
        [
            row["detected_at"].removesuffix("Z"),
            row["group"]["metadata.address"],
            str(row["values"]["count"]),
        ]
        for row in rows
        if row["kind"] == "detection"
    ]

    assert found == expected
    assert len(found) == 14
    assert all(
        len(r["event_ids"]) == r["values"]["count"] for r in rows if r["kind"] == "detection"
    )
    assert output == _run(*replay, "--source-pattern", "sshd", "--isolation", "inline")
