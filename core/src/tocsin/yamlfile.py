"""YAML as data with places: strict, and every value knows its line and column.

YAML 1.2 scalars (only `true` and `false` are booleans, `on` is a word, `012` is twelve), no tags,
no merge keys, duplicate keys are errors, and a document cannot blow up through aliases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tocsin.errors import Problem

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_TAGS = {"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))}
_MAX_NODES = 200_000
_MAX_DEPTH = 60
_MAX_BYTES = 16 * 1024 * 1024

Location = tuple[str | int, ...]
"""The way to a value: keys and indexes from the top."""


@dataclass(slots=True)
class Document:
    """A YAML document and the place of everything in it."""

    path: str
    data: Any = field(default=None, repr=False)
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the text itself; `data` then holds what could be read."""
    values: dict[Location, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Location, tuple[int, int]] = field(default_factory=dict)
    written: Any = field(default=None, repr=False)
    """What stood in the place of `data` before secrets were filled in; None where none were."""

    def problem(self, location: Location, message: str, *, at_key: bool = False) -> Problem:
        """Build the problem for a location, or for its nearest parent that has a place."""
        for length in range(len(location), -1, -1):
            way = location[:length]
            place = self.keys.get(way) if at_key and length == len(location) else None
            place = place or self.values.get(way)
            if place is not None:
                return Problem(self.path, *place, message)
        dotted = ".".join(str(part) for part in location)
        return Problem(self.path, 0, 0, f"{dotted}: {message}" if dotted else message)


def read_file(path: Path, said: Path | None = None) -> Document:
    """Read a YAML file. What is wrong with it is in `problems`, never raised.

    Args:
        path: the file.
        said: how problems name it, where that is not its path.
    """
    name = str(said or path)
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        return Document(name, problems=[Problem(name, 0, 0, f"cannot be read: {reason}")])
    if len(raw) > _MAX_BYTES:
        message = f"is larger than {_MAX_BYTES} bytes"
        return Document(name, problems=[Problem(name, 0, 0, message)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"expected UTF-8, found byte 0x{raw[error.start]:02x}"
        return Document(name, problems=[Problem(name, line, column, message)])
    return read_text(text, path=name)


def read_text(text: str, *, path: str) -> Document:
    """Read YAML from a string. What is wrong with it is in `problems`, never raised."""
    document = Document(path)
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            document.data = _Reader(document).read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = ": ".join(part for part in (error.context, error.problem) if part)
        document.problems.append(Problem(path, line, column, f"not valid YAML: {message}"))
    except yaml.YAMLError as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        document.problems.append(Problem(path, 0, 0, f"not valid YAML: {reason}"))
    except _TooLargeError as error:
        place = (error.mark.line + 1, error.mark.column + 1)
        message = "too many or too deeply nested values"
        document.problems.append(Problem(path, *place, message))
    return document


class _TooLargeError(Exception):
    """There is more in a file than anybody would write; reading stops."""

    def __init__(self, mark: Any) -> None:
        super().__init__()
        self.mark = mark


def _check_depth(text: str) -> None:
    """Look at the nesting before building anything: the builder calls itself for each level."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH + 1:
                raise _TooLargeError(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def from_mapping(data: Any, *, path: str = "<mapping>") -> Document:
    """Wrap configuration that was given as Python data."""
    document = Document(path, data=data)
    _check_texts(document, data, ())
    return document


def _check_texts(document: Document, data: Any, way: Location) -> None:
    if len(way) > _MAX_DEPTH:
        document.problems.append(document.problem(way[:3], "too deeply nested"))
    elif isinstance(data, str) and not _is_unicode(data):
        message = "expected Unicode characters, found a lone surrogate"
        document.problems.append(document.problem(way, message))
    elif isinstance(data, Mapping):
        for key, item in data.items():
            _check_texts(document, key, way)
            _check_texts(document, item, (*way, key))
    elif isinstance(data, list | tuple):
        for index, item in enumerate(data):
            _check_texts(document, item, (*way, index))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def _complain(self, node: Node, message: str) -> None:
        mark = node.start_mark
        self._document.problems.append(
            Problem(self._document.path, mark.line + 1, mark.column + 1, message)
        )

    def read(self, node: Node, way: Location) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(way) > _MAX_DEPTH:
            raise _TooLargeError(node.start_mark)
        self._document.values[way] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if node.tag not in _TAGS:
            self._complain(node, f"expected a value without a tag, found {node.tag!r}")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*way, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, way)

    def _mapping(self, node: Node, way: Location) -> dict[str, Any]:
        assert isinstance(node, MappingNode)  # noqa: S101 - the third and last kind of node
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, "expected a word as key")
                continue
            key = key_node.value
            if key in result:
                self._complain(key_node, f"duplicate key {key!r}")
                continue
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            self._document.keys[*way, key] = place
            result[key] = self.read(value_node, (*way, key))
        return result

    def _scalar(self, node: ScalarNode) -> Any:
        text = node.value
        if not _is_unicode(text):
            self._complain(node, "expected Unicode characters, found a lone surrogate")
            return ""
        if node.style not in (None, ""):
            return text
        if text.lower() in _WORDS and text in (text.lower(), text.capitalize(), text.upper()):
            return _WORDS[text.lower()]
        if _INTEGER.fullmatch(text):
            return int(text, 0 if text[:2] in ("0x", "0o") else 10)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text
