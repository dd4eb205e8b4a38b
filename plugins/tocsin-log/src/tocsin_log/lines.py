"""Writes a notice as one line that nothing inside the notice can break or forge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from tocsin.models import Notice

# Titles and texts carry what strangers wrote into logs. JSON escapes the control characters below
# U+0020 only; a terminal also obeys those from U+007F to U+009F, and a reader may break lines at
# U+0085, U+2028 and U+2029 or show text in another order after a directional mark.
_OBEYED = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_BARE = re.compile(r"[A-Za-z0-9_.:/@+,-]+")


def json_line(notice: Notice) -> str:
    """Write the notice as one JSON object."""
    return _json(_fields(notice))


def text_line(notice: Notice) -> str:
    """Write the notice as `key=value` pairs; what is not one plain word is a JSON string."""
    return " ".join(f"{key}={_value(value)}" for key, value in _fields(notice).items())


def _fields(notice: Notice) -> Mapping[str, Any]:
    return notice.model_dump(mode="json")


def _value(value: Any) -> str:
    if isinstance(value, list) and value and all(_is_bare(item) for item in value):
        return ",".join(value)
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else _json(value)
    return _json(value)


def _is_bare(item: Any) -> bool:
    # A comma inside an item would read as two items.
    return isinstance(item, str) and "," not in item and _BARE.fullmatch(item) is not None


def _json(value: Any) -> str:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        # A lone surrogate has no UTF-8 form.
        text = orjson.dumps(_without_surrogates(value)).decode()
    # All that is matched stands inside strings, where an escape means the same character.
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value
