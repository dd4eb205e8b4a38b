"""What settings refer to instead of containing it: `${VARIABLE}` and `${file:PATH}`.

What is filled in may be secret. Messages are made from what was written wherever Tocsin makes them
(see `tocsin.validation`); texts of others, such as a plugin's error, go through `redact`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from tocsin.errors import Problem, clean
from tocsin.yamlfile import Document, Location

_REFERENCE = re.compile(r"\$\$|\$\{(?:(file):)?([^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL: Location = ("database",)
"""The setting that is a URL."""
_LOGIN = re.compile(r"://([^/?@]*:[^/?@]*)@")
"""Its user and password."""
_PARAMETER = re.compile(r"=([^&]*)")
_MAX_FILE_BYTES = 65_536
_SHORTEST = 4
_SHORTEST_LINE = 8
_ELLIPSIS = "..."
_HIDDEN = "***"


class Filler:
    """Puts what is referred to in the place of the references in a document."""

    def __init__(self, document: Document, variables: Mapping[str, str], directory: Path) -> None:
        """Prepare.

        Args:
            document: what was written.
            variables: the environment.
            directory: where relative paths of files start.
        """
        self.secrets: set[str] = set()
        """The values that were filled in."""
        self.problems: list[Problem] = []
        self._document = document
        self._variables = variables
        self._directory = directory

    def fill(self) -> Document:
        """Give the document with everything filled in; what cannot be is in `problems`."""
        written = self._document
        data = self._fill(written.data, ())
        return Document(
            written.path,
            data,
            values=written.values,
            keys=written.keys,
            written=written.data if self.secrets else None,
        )

    def _fill(self, data: Any, where: Location) -> Any:
        if isinstance(data, Mapping):
            return {key: self._fill(item, (*where, key)) for key, item in data.items()}
        if isinstance(data, list | tuple):
            return [self._fill(item, (*where, index)) for index, item in enumerate(data)]
        if not isinstance(data, str) or "$" not in data:
            return data
        return _REFERENCE.sub(lambda match: self._value(match, where), data)

    def _value(self, match: re.Match[str], where: Location) -> str:
        if match[0] == "$$":
            return "$"
        try:
            found = _looked_up(match, self._variables, self._directory)
        except ValueError as error:
            self.problems.append(self._document.problem(where, str(error)))
            return match[0]
        self.secrets |= {found} if found else set()
        if where != _URL:
            return found
        quoted = _fitted(found, match)
        self.secrets |= {quoted} if quoted else set()
        return quoted


def _looked_up(match: re.Match[str], variables: Mapping[str, str], directory: Path) -> str:
    if match[0] == "${":
        raise ValueError("expected '}' after '${'; where no reference is meant, write '$${'")
    kind, name = match.groups()
    if kind == "file":
        return _text_of(directory / name, f"${{file:{name}}}")
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"expected ${{NAME}} or ${{file:PATH}}, found '${{{name}}}'")
    if name not in variables:
        raise ValueError(f"environment variable {name!r} is not set")
    return variables[name]


def _text_of(path: Path, reference: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"cannot read {reference}: {reason}") from error
    if len(raw) > _MAX_FILE_BYTES:
        raise ValueError(f"cannot read {reference}: it is larger than {_MAX_FILE_BYTES} bytes")
    return text.replace("\r\n", "\n").rstrip("\n")


def _fitted(value: str, reference: re.Match[str]) -> str:
    """Give what is filled into a URL: quoted in user, password and parameters, else as it is."""
    # References may hold letters that mean something in a URL: `${file:a/b}`.
    shape = _REFERENCE.sub(lambda match: "x" * len(match[0]), reference.string)
    login = _LOGIN.search(shape)
    places = [login.span(1)] if login is not None else []
    query = shape.find("?")
    if "://" in shape and query >= 0:
        places += [found.span(1) for found in _PARAMETER.finditer(shape, query)]
    inside = any(start <= reference.start() < end for start, end in places)
    return quote(value, safe="") if inside else value


def redact(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, also where it shows them escaped or cut.

    Very short ones are left: they would stand in any text by chance.
    """
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST}
    for form in sorted(forms, key=len, reverse=True):
        text = _without_cut(text.replace(form, _HIDDEN), form)
    return text


def _forms(secret: str) -> Iterable[str]:
    """Give the ways in which programs write a value into their messages."""
    yield secret
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield clean(" ".join(secret.split()))
    if "\n" in secret:
        yield from (line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE)


def _without_cut(text: str, form: str) -> str:
    """Take out a form's beginning before an ellipsis, and its end after one."""
    parts = text.split(_ELLIPSIS)
    for index, part in enumerate(parts):
        for length in range(min(len(form), len(part)), _SHORTEST - 1, -1):
            if index < len(parts) - 1 and part.endswith(form[:length]):
                parts[index] = part[:-length] + _HIDDEN
                break
    for index, part in enumerate(parts):
        for length in range(min(len(form), len(part)), _SHORTEST - 1, -1):
            if index and part.startswith(form[-length:]):
                parts[index] = _HIDDEN + part[length:]
                break
    return _ELLIPSIS.join(parts)
