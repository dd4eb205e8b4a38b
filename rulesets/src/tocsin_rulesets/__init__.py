"""The built-in rules: YAML files, each with its tests inside."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from tocsin.capabilities import RulesetPlugin
from tocsin.hookspecs import hookimpl

# Written out, so that listing the rulesets opens no file; a test holds them against the files.
_SUMMARIES = {
    "services": "Services that fail, stop answering or become slow.",
    "data": "Data that is worse than it should be, or damaged.",
    "resources": "Machines and processes that run out of something.",
    "dependencies": "What services rely on: databases, caches, foreign APIs and the network.",
    "security": "Intrusions, guessed passwords and certificates that run out.",
}


@hookimpl
def tocsin_rulesets() -> Iterable[RulesetPlugin]:
    """Offer every ruleset file of this package."""
    folder = files(__name__)
    for name, summary in _SUMMARIES.items():
        yield RulesetPlugin(name=name, summary=summary, file=folder / f"{name}.yaml")
