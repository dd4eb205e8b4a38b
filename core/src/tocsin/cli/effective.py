"""The rules as the next `tocsin run` applies them: with what operators changed."""

from __future__ import annotations

from typing import Any

from tocsin.cli.options import existing_database, run_async
from tocsin.errors import NoDatabaseError
from tocsin.rules.loader import Ruleset
from tocsin.rules.schema import Rule
from tocsin.selection import load_plugins, select_rules, select_rulesets
from tocsin.settings import Loaded


def chosen_rulesets(loaded: Loaded) -> tuple[Ruleset, ...]:
    """Read the rulesets that the settings name."""
    return select_rulesets(loaded, load_plugins(loaded))


def effective_rules(loaded: Loaded) -> tuple[Rule, ...]:
    """Give the rules with the changes of the settings and of `tocsin rules`."""
    return select_rules(loaded, chosen_rulesets(loaded), stored_changes(loaded))


def stored_changes(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Read what `tocsin rules` changed, by rule."""
    return run_async(_stored(loaded))


async def _stored(loaded: Loaded) -> dict[str, dict[str, Any]]:
    # Imported here: linting and testing need no database, and SQLAlchemy is large.
    from tocsin.store.queries import stored_rule_changes  # noqa: PLC0415

    try:
        async with existing_database(loaded) as database:
            return await stored_rule_changes(database)
    except NoDatabaseError:
        return {}  # so nothing was changed yet
