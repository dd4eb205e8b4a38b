"""Turns what pydantic finds wrong with a document into problems with places."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tocsin.errors import Problem, nearest
from tocsin.yamlfile import Document, Location

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
}
"""What pydantic says in the words of Python, in those of the file."""
_LONGEST = 60
_FEW = 3


def validate(
    model: type[Model], document: Document, location: Location = ()
) -> tuple[Model | None, list[Problem]]:
    """Build a model from a part of a document, or say everything that is wrong with it."""
    try:
        return model.model_validate(value_at(document.data, location)), []
    except ValidationError as error:
        return None, problems_of(error, model, document, location)


def problems_of(
    error: ValidationError, model: type[BaseModel], document: Document, location: Location = ()
) -> list[Problem]:
    """List the mistakes behind a validation error, one for each place."""
    found: dict[tuple[Location, bool, str], list[str]] = {}
    for detail in error.errors(include_url=False):
        way, rest = _real(document.data, (*location, *detail["loc"]), detail["type"])
        at_key, message = _message(detail, way, rest, model, location)
        missing = message if detail["type"] == "missing" else ""
        messages = found.setdefault((way, at_key, missing), [])
        if message not in messages:
            messages.append(message)
    return [
        document.problem(way, " or ".join(messages), at_key=at_key)
        for (way, at_key, _), messages in found.items()
    ]


def value_at(data: Any, location: Location) -> Any:
    """Walk into data; None where the way ends early."""
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _real(data: Any, way: Location, kind: str) -> tuple[Location, Location]:
    """Split a way into what exists in the data and the rest (branch names, missing keys)."""
    at: list[str | int] = []
    rest: Location = ()
    for part in way:
        exists = (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        )
        if exists:
            data = data[part]
            at.append(part)
        else:
            rest = (*rest, part)
    return tuple(at), rest if kind == "missing" else ()


def _message(
    detail: Any, way: Location, rest: Location, model: type[BaseModel], location: Location
) -> tuple[bool, str]:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = _fields(model, way[len(location) : -1])
        hint = nearest(str(way[-1]), known) or (f"; known: {', '.join(known)}" if known else "")
        return True, f"unknown field {str(way[-1])!r}{hint}"
    if kind == "missing":
        return False, f"missing field {str(rest[-1]) if rest else ''!r}"
    text = str(detail["msg"])
    if kind == "value_error":
        text = text.removeprefix("Value error, ")
        return False, text
    expected = _EXPECTED.get(kind) or text[0].lower() + text[1:]
    expected = expected.replace("input should be", "expected").replace(
        "string should", "text should"
    )
    choices = detail.get("ctx", {}).get("expected", "")
    hint = ""
    if kind in ("enum", "literal_error"):
        hint = nearest(str(value), choices.replace(" or ", ", ").replace("'", "").split(", "))
    return False, f"{expected}, found {shown(value)}{hint}"


def _fields(model: Any, way: Location) -> list[str]:
    """List the names that a model takes at a place below it."""
    for part in way:
        if isinstance(part, int):
            continue
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if part not in fields:
            return []
        inner = _model_in(fields[part].annotation)
        if inner is None:
            return []
        model = inner
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = typing.get_origin(annotation)
    if origin is None or origin in (typing.Literal, types.GenericAlias):
        return None
    return next((inner for arg in typing.get_args(annotation) if (inner := _model_in(arg))), None)


def shown(value: Any) -> str:
    """Show what was found, cut to a length that fits a message."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, list | Mapping) for item in value)
        return f"a list of {len(value)}" if nested or len(value) > _FEW else repr(list(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
