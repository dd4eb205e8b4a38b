"""Turns an event into the flat record that the rules engine sees: small whole numbers only.

A field's value is replaced by its place among the constants that the rules compare it with. All
comparisons come out the same, and nothing of the event itself (text, odd keys, huge numbers) ever
reaches the engine; events that no rule tells apart share one record, so a verdict can be remembered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.models import IncidentEvent
from tocsin.rules.conditions import Condition, holds
from tocsin.rules.fields import Path, getter

Encode = Callable[[IncidentEvent], int]
OTHER = 0
"""The code of a value that is missing or of another kind."""
FALSE, TRUE = 1, 2
"""The codes of a boolean, of presence and of a test."""


@dataclass(frozen=True, slots=True)
class PlaceColumn:
    """The place of a number or text among sorted constants: odd between two, even on one."""

    path: Path
    kind: str
    constants: tuple[Any, ...]

    def code(self, constant: Any) -> int:
        """Give the code of a value that equals a constant."""
        return 2 * bisect_left(self.constants, constant) + 2

    def encoder(self) -> Encode:
        """Make the function that codes an event's value."""
        get, constants, length = getter(self.path), self.constants, len(self.constants)
        if self.kind == "text":

            def place_text(event: IncidentEvent) -> int:
                value = get(event)
                if not isinstance(value, str):
                    return OTHER
                at = bisect_left(constants, value)
                return 2 * at + 2 if at < length and constants[at] == value else 2 * at + 1

            return place_text

        def place_number(event: IncidentEvent) -> int:
            value = get(event)
            kind = value.__class__
            if kind is not int and kind is not float:
                return OTHER
            at = bisect_left(constants, value)
            return 2 * at + 2 if at < length and constants[at] == value else 2 * at + 1

        return place_number


@dataclass(frozen=True, slots=True)
class BooleanColumn:
    """Whether a field is true or false."""

    path: Path

    def encoder(self) -> Encode:
        """Make the function that codes an event's value."""
        get = getter(self.path)

        def boolean(event: IncidentEvent) -> int:
            value = get(event)
            return (TRUE if value else FALSE) if value.__class__ is bool else OTHER

        return boolean


@dataclass(frozen=True, slots=True)
class PresentColumn:
    """Whether a field is there."""

    path: Path

    def encoder(self) -> Encode:
        """Make the function that codes an event's value."""
        get = getter(self.path)
        return lambda event: FALSE if get(event) is None else TRUE


@dataclass(frozen=True, slots=True)
class TestColumn:
    """Whether a condition holds that the engine is not asked to judge."""

    __test__ = False  # keeps pytest from taking it for a test class

    condition: Condition

    def encoder(self) -> Encode:
        """Make the function that codes an event."""
        condition = self.condition
        return lambda event: TRUE if holds(condition, event) else FALSE


Column = PlaceColumn | BooleanColumn | PresentColumn | TestColumn
Record = tuple[int, ...]
"""One code for each column."""


def projector(columns: Sequence[Column]) -> Callable[[IncidentEvent], Record]:
    """Make the function that turns an event into its record."""
    encoders = tuple(column.encoder() for column in columns)
    if not encoders:
        return lambda _event: ()
    if len(encoders) == 1:
        (only,) = encoders
        return lambda event: (only(event),)
    return lambda event: tuple([encode(event) for encode in encoders])


def to_fact(record: Record) -> str:
    """Write a record as the flat JSON object that the engine takes."""
    columns = "".join(f',"c{index}":{code}' for index, code in enumerate(record))
    return f'{{"id":"0","k":1{columns}}}'
