"""Turns an event into the flat record that the rules engine sees: small whole numbers only.

A field's value is replaced by its place among the constants that the rules compare it with. All
comparisons come out the same, and nothing of the event itself (text, odd keys, huge numbers) ever
reaches the engine. Events that no rule tells apart share a record, so verdicts can be remembered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tocsin.models import Event
from tocsin.rules.conditions import All, AnyOf, Comparison, Condition, Not, holds, kind_of
from tocsin.rules.fields import Path, getter

Code = int | None
Encode = Callable[[Any], Code]
"""Turns a field's value into its code."""
OTHER = 0
"""The code of a value that is missing or of another kind."""
FALSE, TRUE = 1, 2
"""The codes of a boolean, of presence and of a test."""
_UNEQUAL = 1
"""The code of a text that equals no constant, where only equality matters; a record has None."""


@dataclass(frozen=True, slots=True)
class PlaceColumn:
    """The place of a number or text among sorted constants: odd between two, even on one."""

    path: Path
    kind: str
    constants: tuple[Any, ...]
    ordered: bool
    """Whether any comparison asks for more than equality."""

    def code(self, constant: Any) -> int:
        """Give the code of a value that equals a constant."""
        return 2 * bisect_left(self.constants, constant) + 2

    def encoder(self) -> Encode:
        """Make the function that codes a value."""
        if self.kind == "text" and not self.ordered:
            # The fastest way there is; a value that cannot be a key is dealt with by the caller.
            return {constant: self.code(constant) for constant in self.constants}.get
        constants, length, text = self.constants, len(self.constants), self.kind == "text"

        def place(value: Any) -> int:
            kind = value.__class__
            if text:
                if not isinstance(value, str):
                    return OTHER
            elif kind is not int and (kind is not float or not isfinite(value)):
                return OTHER
            at = bisect_left(constants, value)
            return 2 * at + 2 if at < length and constants[at] == value else 2 * at + 1

        return place


@dataclass(frozen=True, slots=True)
class BooleanColumn:
    """Whether a field is true or false."""

    path: Path

    def encoder(self) -> Encode:
        """Make the function that codes a value."""
        return lambda value: (TRUE if value else FALSE) if value.__class__ is bool else OTHER


@dataclass(frozen=True, slots=True)
class PresentColumn:
    """Whether a field is there."""

    path: Path

    def encoder(self) -> Encode:
        """Make the function that codes a value."""

        def present(value: Any) -> int:
            missing = value is None or (value.__class__ is float and not isfinite(value))
            return FALSE if missing else TRUE

        return present


@dataclass(frozen=True, slots=True)
class TestColumn:
    """Whether a condition holds that the engine is not asked to judge."""

    __test__ = False  # keeps pytest from taking it for a test class

    condition: Condition


Column = PlaceColumn | BooleanColumn | PresentColumn | TestColumn
Record = tuple[Code, ...]
"""One code for each column."""


def projector(columns: Sequence[Column]) -> Callable[[Event], Record]:
    """Make the function that turns an event into its record."""
    general = _general([_reader(column) for column in columns])
    shallow = [
        (column.path[1], column.encoder())
        for column in columns
        if not isinstance(column, TestColumn) and _is_shallow(column.path)
    ]
    if not columns or len(shallow) < len(columns):
        return general

    def project(event: Event) -> Record:
        get = event.metadata.get
        try:
            return tuple([encode(get(name)) for name, encode in shallow])
        except TypeError:
            return general(event)

    return project


def _is_shallow(path: Path) -> bool:
    """Whether a field lies directly in the metadata."""
    return path[0] == "metadata" and len(path) == 2  # noqa: PLR2004 - metadata and a name


def _reader(column: Column) -> Callable[[Event], Code]:
    if isinstance(column, TestColumn):
        test = predicate(column.condition)
        return lambda event: TRUE if test(event) else FALSE
    get, encode = getter(column.path), column.encoder()
    return lambda event: encode(get(event))


def _general(
    readers: Sequence[Callable[[Event], Code]],
) -> Callable[[Event], Record]:
    def read(reader: Callable[[Event], Code], event: Event) -> Code:
        try:
            return reader(event)
        except TypeError:  # a list or a mapping equals no constant
            return None

    return lambda event: tuple([read(reader, event) for reader in readers])


def predicate(condition: Condition) -> Callable[[Event], bool]:
    """Make the function that says whether an event satisfies a condition."""
    match condition:
        case All(parts):
            tests = tuple(predicate(part) for part in parts)
            return lambda event: all(test(event) for test in tests)
        case AnyOf(parts):
            tests = tuple(predicate(part) for part in parts)
            return lambda event: any(test(event) for test in tests)
        case Not(part):
            test = predicate(part)
            return lambda event: not test(event)
        case Comparison(path, "in" | "not_in" as operator, operand):
            return _membership(getter(path), operand, wanted=operator == "in")
        case _:
            return lambda event: holds(condition, event)


def _membership(
    get: Callable[[Event], Any], operand: Sequence[Any], *, wanted: bool
) -> Callable[[Event], bool]:
    members = frozenset((kind_of(item), item) for item in operand)

    def member(event: Event) -> bool:
        value = get(event)
        kind = kind_of(value)
        return (kind is not None and (kind, value) in members) is wanted

    return member


def to_fact(record: Record) -> str:
    """Write a record as the flat JSON object that the engine takes."""
    codes = (_UNEQUAL if code is None else code for code in record)
    columns = "".join(f',"c{index}":{code}' for index, code in enumerate(codes))
    return f'{{"id":"0","k":1{columns}}}'
