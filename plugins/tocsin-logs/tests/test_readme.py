"""The README: its example is valid, and it names everything."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tocsin_logs import LogsParams
from tocsin_logs.patterns import READY
from tocsin_logs.patterns.expressions import Expression, Timestamp
from tocsin_logs.patterns.json_lines import Fields, ObjectLines

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    for settings in yaml.safe_load(example)["sources"].values():
        settings.pop("use", None)
        LogsParams.model_validate(settings)


def test_every_parameter_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))

    assert set(LogsParams.model_fields) <= described


def test_everything_that_a_pattern_can_hold_is_described() -> None:
    named = set(re.findall(r"`(\w+)`", README))

    assert named >= {*Expression.model_fields, *ObjectLines.model_fields, *Fields.model_fields}
    assert named >= {*READY, *Timestamp.model_fields}
