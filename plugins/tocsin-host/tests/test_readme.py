"""The README: its example is valid, and it names everything."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tocsin_host import HostParams

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    for settings in yaml.safe_load(example)["sources"].values():
        settings.pop("use", None)
        HostParams.model_validate(settings)


def test_every_parameter_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))

    assert set(HostParams.model_fields) <= described
