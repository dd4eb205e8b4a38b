"""Describes the fields of pydantic models in plain words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from tests.docs.source import attributes, summary
from tests.docs.words import MEANINGS
from tocsin.clock import SECOND
from tocsin.durations import Duration, format_duration

_DURATION_FORMS = TypeAdapter(Duration).json_schema()["anyOf"]
_DURATION = "duration"
_BOUNDS = {"minimum": "from {}", "exclusiveMinimum": "over {}", "maximum": "to {}"}
_SIMPLE = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "null": "nothing",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A field."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of settings."""

    name: str
    text: str
    fields: list[Row]


def sections(model: type[BaseModel], name: str = "") -> list[Section]:
    """Describe a model and all that it is made of, the outermost first."""
    inner = {
        field: (found, f"{name}.{field}".lstrip(".") + suffix)
        for field, info in model.model_fields.items()
        for found, suffix in [_section(info.annotation)]
        if found is not None
    }
    own = [row for row in rows(model, {}) if row.name not in inner]
    here = [Section(name, summary(model), own)] if own else []
    return here + [part for found, path in inner.values() for part in sections(found, path)]


def _section(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if get_origin(annotation) is dict:
        found, _ = _section(get_args(annotation)[1])
        return found, ".NAME"
    if get_origin(annotation) is None and isinstance(annotation, type):
        return (annotation if issubclass(annotation, BaseModel) else None), ""
    return None, ""


def rows(model: type[BaseModel], links: dict[str, str]) -> list[Row]:
    """Describe each field of a model; `links` says what stands for a model inside."""
    schema = model.model_json_schema(by_alias=True)
    texts = attributes(model)
    found = []
    for field, info in model.model_fields.items():
        name = info.alias or field
        part = schema["properties"][name]
        kind = _type(part, schema.get("$defs", {}), links)
        default = "required" if name in schema.get("required", ()) else _default(part, kind)
        meaning = texts.get(field) or MEANINGS.get((model.__name__, name), "")
        found.append(Row(name, kind, default, meaning))
    return found


def _default(part: dict[str, Any], kind: str) -> str:
    default = part.get("default")
    if default in (None, "", [], {}):
        return ""
    if kind == _DURATION:
        micros = round(default * SECOND) if isinstance(default, float) else default
        return f"`{format_duration(micros)}`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _type(part: dict[str, Any], inner: dict[str, Any], links: dict[str, str]) -> str:
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return links[name] if name in links else _type(inner[name], inner, links)
    if "anyOf" in part:
        kinds = [kind for kind in part["anyOf"] if kind != {"type": "null"}]
        words = list(dict.fromkeys(_type(kind, inner, links) for kind in kinds))
        return _DURATION if kinds == _DURATION_FORMS else words[-1]
    if "enum" in part:
        *others, last = (f"`{value}`" for value in part["enum"])
        return f"{', '.join(others)} or {last}"
    if part.get("type") == "array":
        item = _type(part["items"], inner, links)
        return item if item.startswith("list") else f"list of {item}"
    if "type" not in part:
        return "condition"
    bounds = " ".join(text.format(part[key]) for key, text in _BOUNDS.items() if key in part)
    return f"{_SIMPLE[part['type']]} {bounds}".strip()
