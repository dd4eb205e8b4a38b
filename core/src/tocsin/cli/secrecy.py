"""Settings as they may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.references import redact
from tocsin.settings import Loaded


def shown_settings(loaded: Loaded) -> dict[str, Any]:
    """Give the settings as they may be shown: without any secret that was filled in."""
    settings = loaded.settings.model_dump(mode="json")
    shown: dict[str, Any] = _without_secrets(settings, loaded.document.data, loaded.secrets)
    shown["database"] = _without_password(shown["database"])
    return shown


def _without_secrets(value: Any, written: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        inner = written if isinstance(written, Mapping) else {}
        return {key: _without_secrets(v, inner.get(key), secrets) for key, v in value.items()}
    if isinstance(value, list):
        items = written if isinstance(written, list) and len(written) == len(value) else []
        return [
            _without_secrets(v, items[i] if items else None, secrets) for i, v in enumerate(value)
        ]
    if isinstance(written, str) and "$" in written:
        return written
    return redact(value, secrets) if isinstance(value, str) else value


def _without_password(database: str) -> str:
    if "://" not in database:
        return database
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - large, and seldom needed here
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(database)
        hidden = {key: "***" for key in url.query if "pass" in key.lower()}
        return url.update_query_dict(hidden).render_as_string()
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return "***"
