"""Reads conditions from the data of a ruleset file, with every mistake and its place."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from typing import Any

import re2

from tocsin.errors import nearest
from tocsin.models import IncidentSeverity
from tocsin.rules.conditions import (
    OPERATORS,
    ORDER,
    All,
    AnyOf,
    Comparison,
    Condition,
    Not,
    Other,
    kind_of,
    pattern,
)
from tocsin.rules.fields import Path, parse_path
from tocsin.validation import shown
from tocsin.yamlfile import Location

Report = Callable[[Location, str, bool], None]
"""Takes a mistake: where it is, what it is, and whether it is the key (not the value)."""

_GROUPS = ("all", "any", "not")
_SEVERITIES = tuple(severity.value for severity in IncidentSeverity)
_FIELD_OPERATORS = ("eq", "ne", *ORDER)
_SEVERITY_OPERATORS = ("eq", "ne", *ORDER, "in", "not_in", "between")
_MAX_TEXT = 4096
_MAX_ITEMS = 100_000
_MAX_DEPTH = 20


def read_condition(
    data: Any, where: Location, report: Report, *, depth: int = 0
) -> Condition | None:
    """Read a condition; mistakes go to `report` and the result is then None."""
    if depth > _MAX_DEPTH:
        report(where, f"conditions are nested more than {_MAX_DEPTH} deep", False)
        return None
    if not isinstance(data, Mapping):
        report(where, f"expected a mapping of fields to values, found {shown(data)}", False)
        return None
    if not data:
        report(where, "expected at least one field, found an empty mapping", False)
        return None
    parts = [
        _read_entry(str(key), value, (*where, key), report, depth) for key, value in data.items()
    ]
    good = tuple(part for part in parts if part is not None)
    if len(good) < len(parts):
        return None
    return good[0] if len(good) == 1 else All(good)


def _read_entry(
    key: str, value: Any, where: Location, report: Report, depth: int
) -> Condition | None:
    if key == "not":
        part = read_condition(value, where, report, depth=depth + 1)
        return Not(part) if part is not None else None
    if key in _GROUPS:
        if not isinstance(value, list) or not value:
            report(where, f"expected a list of conditions, found {shown(value)}", False)
            return None
        parts = [
            read_condition(item, (*where, index), report, depth=depth + 1)
            for index, item in enumerate(value)
        ]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return All(good) if key == "all" else AnyOf(good)
    try:
        path = parse_path(key)
    except ValueError as error:
        report(where, str(error) + ("" if "." in key else nearest(key, _GROUPS)), True)
        return None
    return _read_field(path, value, where, report)


def _read_field(path: Path, value: Any, where: Location, report: Report) -> Condition | None:
    if isinstance(value, list):
        return _read_comparison(path, "in", value, where, report)
    if not isinstance(value, Mapping):
        return _read_comparison(path, "eq", value, where, report)
    if not value:
        report(where, "expected an operator such as 'eq', found an empty mapping", False)
        return None
    parts: list[Condition | None] = []
    for operator, operand in value.items():
        at = (*where, operator)
        if operator not in OPERATORS:
            hint = nearest(str(operator), OPERATORS) or f"; operators: {', '.join(OPERATORS)}"
            report(at, f"unknown operator {operator!r}{hint}", True)
            parts.append(None)
        else:
            parts.append(_read_comparison(path, operator, operand, at, report))
    good = tuple(part for part in parts if part is not None)
    if len(good) < len(parts):
        return None
    return good[0] if len(good) == 1 else All(good)


def _read_comparison(
    path: Path, operator: str, operand: Any, where: Location, report: Report
) -> Condition | None:
    if path == ("severity",) and operator not in _SEVERITY_OPERATORS:
        allowed = ", ".join(_SEVERITY_OPERATORS)
        report(
            where, f"operator {operator!r} does not apply to severity; use one of {allowed}", True
        )
        return None
    try:
        return Comparison(path, operator, _operand(path, operator, operand))
    except ValueError as error:
        report(where, str(error), False)
        return None


def _operand(path: Path, operator: str, operand: Any) -> Any:
    if isinstance(operand, Mapping):
        return _other_field(path, operator, operand)
    match operator:
        case "exists":
            return _boolean(operand)
        case "in" | "not_in":
            return _items(path, operator, operand)
        case "between":
            return _bounds(path, operand)
        case "cidr":
            return _networks(operand)
        case "matches":
            return _pattern(operand)
        case "starts_with" | "ends_with" if not isinstance(operand, str) or not operand:
            raise ValueError(f"'{operator}' expects text, found {shown(operand)}")
        case _:
            constant = _constant(path, operand)
            if operator in ORDER and isinstance(constant, bool):
                raise ValueError(f"'{operator}' expects a number or text, found {shown(operand)}")
            return constant


def _boolean(operand: Any) -> bool:
    if not isinstance(operand, bool):
        raise ValueError(f"'exists' expects true or false, found {shown(operand)}")
    return operand


def _other_field(path: Path, operator: str, operand: Mapping[str, Any]) -> Other:
    if operator not in _FIELD_OPERATORS or set(operand) != {"field"}:
        allowed = ", ".join(_FIELD_OPERATORS)
        raise ValueError(
            f"expected a value, or with {allowed} another field as {{field: NAME}},"
            f" found {shown(operand)}"
        )
    if not isinstance(operand["field"], str):
        raise ValueError(f"'field' expects the name of a field, found {shown(operand['field'])}")
    other = parse_path(operand["field"])
    if ("severity",) in (path, other) and path != other:
        raise ValueError("severity can be compared with severities only")
    return Other(other)


def _constant(path: Path, value: Any) -> Any:
    if path == ("severity",):
        if value not in _SEVERITIES:
            hint = nearest(str(value), _SEVERITIES)
            raise ValueError(
                f"expected one of {', '.join(_SEVERITIES)}, found {shown(value)}{hint}"
            )
        return IncidentSeverity(value).rank
    if value is None:
        raise ValueError("expected a value, found nothing; use {exists: false} for a missing field")
    kind = kind_of(value)
    if kind is None:
        raise ValueError(f"expected text, a number, true or false, found {shown(value)}")
    if kind == "text":
        if len(value) > _MAX_TEXT:
            raise ValueError(f"expected at most {_MAX_TEXT} characters, found {len(value)}")
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {shown(value)}")
    return value


def _items(path: Path, operator: str, operand: Any) -> tuple[Any, ...]:
    if not isinstance(operand, list) or not operand:
        raise ValueError(
            f"'{operator}' expects a list with at least one value, found {shown(operand)}"
        )
    if len(operand) > _MAX_ITEMS:
        raise ValueError(f"'{operator}' takes at most {_MAX_ITEMS} values, found {len(operand)}")
    return tuple(_constant(path, item) for item in operand)


def _bounds(path: Path, operand: Any) -> tuple[Any, Any]:
    if not isinstance(operand, list) or len(operand) != 2:  # noqa: PLR2004 - low and high
        raise ValueError(f"'between' expects [low, high], found {shown(operand)}")
    low, high = (_constant(path, bound) for bound in operand)
    if kind_of(low) != kind_of(high) or isinstance(low, bool):
        raise ValueError(f"'between' expects two numbers or two texts, found {shown(operand)}")
    if low > high:
        raise ValueError(f"'between' expects the lower bound first, found {shown(operand)}")
    return low, high


def _networks(operand: Any) -> tuple[str, ...]:
    networks = operand if isinstance(operand, list) else [operand]
    if not networks:
        raise ValueError("'cidr' expects a network such as '10.0.0.0/8' or a list of them")
    for network in networks:
        try:
            # As text: a whole number would be taken for an address.
            ipaddress.ip_network(network if isinstance(network, str) else "", strict=False)
        except ValueError as error:
            raise ValueError(
                f"'cidr' expects a network such as '10.0.0.0/8', found {shown(network)}"
            ) from error
    return tuple(networks)


def _pattern(operand: Any) -> str:
    if not isinstance(operand, str) or not operand:
        raise ValueError(f"'matches' expects a pattern, found {shown(operand)}")
    if len(operand) > _MAX_TEXT:
        raise ValueError(f"expected at most {_MAX_TEXT} characters, found {len(operand)}")
    try:
        pattern(operand)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a pattern in RE2 syntax: {text}") from error
    return operand
