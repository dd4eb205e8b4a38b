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
_OF_THE_MODEL = {
    *_EXPECTED,
    "bool_parsing",
    "enum",
    "extra_forbidden",
    "finite_number",
    "float_parsing",
    "greater_than",
    "greater_than_equal",
    "int_from_float",
    "int_parsing",
    "less_than",
    "less_than_equal",
    "literal_error",
    "missing",
    "string_pattern_mismatch",
    "string_too_long",
    "string_too_short",
}
"""Of these, pydantic says what the model asks for and nothing of the value."""
_LEFT_OUT = "not accepted (the reason is left out, as it may show what was filled in)"
_LONGEST = 60
_FEW = 3


def validate(
    model: type[Model], document: Document, location: Location = ()
) -> tuple[Model | None, list[Problem]]:
    """Build a model from a part of a document, or say everything that is wrong with it.

    No message shows what was filled in: each is made from what was written in its place.
    """
    try:
        return model.model_validate(value_at(document.data, location)), []
    except ValidationError as error:
        return None, _problems_of(error, model, document, location)


def _problems_of(
    error: ValidationError, model: type[BaseModel], document: Document, location: Location
) -> list[Problem]:
    """List the mistakes behind a validation error, one for each place."""
    harmless = None
    if document.written is not None:
        harmless = _said_of_what_was_written(model, value_at(document.written, location))
    found: dict[tuple[Location, bool, str], list[str]] = {}
    for detail in error.errors(include_url=False):
        way, rest = _real(document.data, (*location, *detail["loc"]), detail["type"])
        if harmless is not None:
            _make_harmless(detail, harmless, value_at(document.written, way))
        at_key, message = _message(detail, way, rest, model, location)
        missing = message if detail["type"] == "missing" else ""
        messages = found.setdefault((way, at_key, missing), [])
        if message not in messages:
            messages.append(message)
    return [
        document.problem(way, " or ".join(messages), at_key=at_key)
        for (way, at_key, _), messages in found.items()
    ]


_Said = dict[tuple[Location, str], str]


def _said_of_what_was_written(model: type[BaseModel], written: Any) -> _Said:
    """Give what validation says of the text before secrets were filled in."""
    try:
        model.model_validate(written)
    except ValidationError as error:
        return {(d["loc"], d["type"]): d["msg"] for d in error.errors(include_url=False)}
    except Exception:  # noqa: BLE001 - a plugin's validator that does not expect a reference
        return {}
    return {}


def _make_harmless(detail: Any, harmless: _Said, written: Any) -> None:
    """Take what was filled in out of a mistake; a validator's own words might show any of it."""
    detail["input"] = written
    if detail["type"] not in _OF_THE_MODEL:
        way = (detail["loc"], detail["type"])
        detail["msg"] = harmless.get(way, _LEFT_OUT)


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


def _fields(model: type[BaseModel], way: Location) -> list[str]:
    """List the names that a model takes at a place below it."""
    kinds: list[Any] = [model]
    for part in way:
        kinds = [inner for kind in kinds for inner in _below(kind, part)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    names = [info.alias or name for kind in models for name, info in kind.model_fields.items()]
    return list(dict.fromkeys(names))


def _below(kind: Any, part: str | int) -> list[Any]:
    """Give what can stand at a key or an index of a value of some kind."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {info.alias or name: info for name, info in kind.model_fields.items()}
        return _alternatives(fields[str(part)].annotation) if part in fields else []
    arguments = typing.get_args(kind)
    if isinstance(part, int):
        return [inner for argument in arguments for inner in _alternatives(argument)]
    return _alternatives(arguments[-1]) if arguments else []


def _alternatives(annotation: Any) -> list[Any]:
    """Take the kinds of a union, and what is annotated, apart."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


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
