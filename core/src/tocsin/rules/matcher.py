"""The only place that touches durable-rules: judges records, one at a time, in this process."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from tocsin.errors import MatcherError
from tocsin.rules.compiler import PROBE, Definition, Program, check_definition
from tocsin.rules.projection import Record, to_fact

Verdict = tuple[int, ...] | None
"""The numbers of the conditions that a record satisfies; None where the engine failed on it."""
Question = tuple[int, Record]
"""A shard's number and a record for it."""


class Matcher(Protocol):
    """Judges records."""

    async def start(self) -> None:
        """Get ready, so that the first batch does not wait.

        Raises:
            MatcherError: the rules engine cannot be had.
        """
        ...

    async def match(self, questions: Sequence[Question]) -> list[Verdict]:
        """Give the verdict on each question, in order."""
        ...

    async def close(self) -> None:
        """Let go of everything; afterwards no process or thread is left."""
        ...


def load_engine() -> Any:
    """Import durable-rules' C module.

    On Python 3.13 it refers to a function that Python no longer has, and never calls it: bound
    lazily, it loads.

    Raises:
        MatcherError: it is not installed, or does not load.
    """
    flags = sys.getdlopenflags()
    try:
        sys.setdlopenflags(os.RTLD_LAZY)
        return importlib.import_module("durable_rules_engine")
    except ImportError as error:
        raise MatcherError(
            f"the rules engine does not load ({error}); install it with"
            " CPPFLAGS=-DPyEval_CallObject=PyObject_CallObject pip install --no-binary"
            " durable-rules durable-rules==2.0.28"
        ) from error
    finally:
        sys.setdlopenflags(flags)


class EngineShard:
    """One definition, loaded into the engine."""

    def __init__(self, engine: Any, name: str, definition: Definition) -> None:
        check_definition(definition)
        self._engine = engine
        self._name = name
        self._definition = definition
        self._load()

    def _load(self) -> None:
        raw = orjson.dumps(self._definition).decode()
        self._handle = self._engine.create_ruleset(self._name, raw)
        if self._drain(f'{{"id":"0","{PROBE}":1}}') != [PROBE]:
            raise MatcherError(f"the rules engine does not answer for {self._name!r}")

    def match(self, fact: str) -> Verdict:
        """Judge one fact; None where the engine reports an error, after which it is loaded anew."""
        try:
            names = self._drain(fact)
        except self._engine.error:
            self._load()
            return None
        return tuple(sorted({int(name[1:]) for name in names})) if names else ()

    def _drain(self, fact: str) -> list[str]:
        engine, handle = self._engine, self._handle
        handled, offset = engine.assert_fact(handle, fact)
        if handled == 1:
            return []
        started = engine.start_action_for_state(handle, offset)
        payload = None if started is None else started[1]
        names: list[str] = []
        while payload is not None:
            # A payload is {"<rule>":{...}}; what follows the name is our own fact again.
            names.append(payload.split('"', 2)[1])
            payload = engine.complete_and_start_action(handle, offset)
        engine.retract_fact(handle, fact)
        return names


class InlineMatcher:
    """Judges in this process: fastest, for rules that are trusted."""

    def __init__(self, program: Program) -> None:
        engine = load_engine()
        self._shards = [
            EngineShard(engine, f"s{index}", shard.definition)
            for index, shard in enumerate(program.shards)
        ]

    def judge(self, questions: Sequence[Question]) -> list[Verdict]:
        """Give the verdict on each question, in order."""
        shards = self._shards
        return [shards[number].match(to_fact(record)) for number, record in questions]

    async def start(self) -> None:
        """Do nothing: the engine was loaded when this was made."""

    async def match(self, questions: Sequence[Question]) -> list[Verdict]:
        """Give the verdict on each question, in order."""
        return self.judge(questions)

    async def close(self) -> None:
        """Do nothing: the engine's memory goes with the process."""
