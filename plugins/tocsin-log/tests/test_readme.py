"""The README: its example is valid, and it names everything."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tocsin_log import LogParams

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    for settings in yaml.safe_load(example)["notifications"].values():
        settings.pop("use", None)
        LogParams.model_validate(settings)


def test_every_parameter_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))

    assert set(LogParams.model_fields) <= described
