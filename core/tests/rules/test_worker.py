"""The worker process may crash, hang or be killed: only what did it stays without a verdict."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from rules.streams import event, load
from tocsin.errors import MatcherError
from tocsin.models import Detection, IncidentEvent, Quarantined
from tocsin.rules.compiler import Program, compile_conditions
from tocsin.rules.engine import Engine, detect
from tocsin.rules.matcher import InlineMatcher, Question
from tocsin.rules.worker import WorkerMatcher

FAULTY = str(Path(__file__).with_name("faulty_worker.py"))
POISON = 6
"""The number whose code is the one that the faulty worker fails at."""

Make = Callable[..., WorkerMatcher]


def rules_of_numbers() -> Program:
    """Compile a rule for each digit."""
    rules = load(*({"when": {"event_type": "fail", "metadata.n": n}} for n in range(10)))
    return compile_conditions((rule.id, rule.when) for rule in rules)


def digits(*numbers: int) -> list[IncidentEvent]:
    return [event(f"e{number}", number, metadata={"n": number}) for number in numbers]


def questions(program: Program, *numbers: int) -> list[Question]:
    return [(0, program.shards[0].project(one)) for one in digits(*numbers)]


@pytest_asyncio.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Make]:
    """Make matchers; at the end none may have left a process or a task behind."""
    made: list[WorkerMatcher] = []

    def make(way: str = "", *, deadline: float = 5.0) -> WorkerMatcher:
        command = (sys.executable, FAULTY, way or "well", str(tmp_path))
        made.append(WorkerMatcher(rules_of_numbers(), deadline=deadline, command=command))
        return made[-1]

    yield make
    for matcher in made:
        await matcher.close()
    assert psutil.Process().children(recursive=True) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


def pid_of(matcher: WorkerMatcher) -> int:
    assert matcher._process is not None
    return matcher._process.pid


def test_the_poison_is_what_the_faulty_worker_fails_at() -> None:
    ((_, record),) = questions(rules_of_numbers(), POISON)
    assert record == (14,)


async def test_gives_what_the_matcher_in_this_process_gives() -> None:
    program = rules_of_numbers()
    asked = questions(program, *range(-1, 12)) * 400
    matcher = WorkerMatcher(program)
    try:
        assert await matcher.match(asked) == await InlineMatcher(program).match(asked)
        assert await matcher.match([]) == []
        assert matcher.respawns == 0
    finally:
        await matcher.close()
    assert psutil.Process().children() == []


@pytest.mark.parametrize("way", ["crash", "hang", "exit", "raise"])
async def test_only_the_poison_is_left_without_a_verdict(worker: Make, way: str) -> None:
    matcher = worker(way, deadline=0.3)
    program = rules_of_numbers()
    before = time.monotonic()
    verdicts = await matcher.match(questions(program, 1, 50, POISON, 3))
    # Four questions are halved twice, and the one is asked once more.
    assert time.monotonic() - before < 4 * (0.3 + 1.5)
    assert verdicts == [(1,), (), None, (3,)]
    assert matcher.respawns == 4
    assert await matcher.match(questions(program, 3, 4)) == [(3,), (4,)]


async def test_two_poisons_in_one_batch(worker: Make) -> None:
    asked = questions(rules_of_numbers(), POISON, 1, POISON)
    assert await worker("exit").match(asked) == [None, (1,), None]


@pytest.mark.parametrize("way", ["crash once", "hang once"])
async def test_what_was_not_to_blame_gets_its_verdict(worker: Make, way: str) -> None:
    """A single question is asked twice: the process may have died for another reason."""
    matcher = worker(way, deadline=0.5)
    assert await matcher.match(questions(rules_of_numbers(), POISON)) == [(POISON,)]
    assert matcher.respawns == 1


async def test_killed_between_two_batches(worker: Make) -> None:
    matcher = worker()
    asked = questions(rules_of_numbers(), *range(5))
    verdicts = await matcher.match(asked)
    os.kill(pid_of(matcher), signal.SIGKILL)
    assert await matcher.match(asked) == verdicts
    assert matcher.respawns == 1


async def test_a_killed_process_is_missed_by_nobody(
    worker: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end is read by the loop, which would otherwise warn of a child that it does not know."""
    matcher = worker()
    asked = questions(rules_of_numbers(), 1)
    await matcher.start()
    for _ in range(8):
        pid = pid_of(matcher)
        os.kill(pid, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0)  # noqa: ASYNC251 - the loop must not run meanwhile
        assert await matcher.match(asked) == [(1,)]
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_killed_in_the_middle_of_a_batch(worker: Make, tmp_path: Path) -> None:
    matcher = worker("hang once", deadline=20)
    asking = asyncio.create_task(matcher.match(questions(rules_of_numbers(), 1, POISON, 2)))
    await appears(tmp_path / "been here")
    os.kill(pid_of(matcher), signal.SIGKILL)
    assert await asking == [(1,), (POISON,), (2,)]


async def test_stopped_in_the_middle_of_a_batch(worker: Make) -> None:
    """A process that does not run any more is the same as one that hangs."""
    matcher = worker(deadline=0.5)
    asked = questions(rules_of_numbers(), 1, 2)
    await matcher.match(asked)
    os.kill(pid_of(matcher), signal.SIGSTOP)
    assert await matcher.match(asked) == [(1,), (2,)]


async def test_cancelled_in_the_middle_of_a_batch(worker: Make, tmp_path: Path) -> None:
    matcher = worker("hang once", deadline=20)
    program = rules_of_numbers()
    asking = asyncio.create_task(matcher.match(questions(program, 1, POISON)))
    await appears(tmp_path / "been here")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await matcher.match(questions(program, 2, 3)) == [(2,), (3,)]


@pytest.mark.parametrize("seconds", [0, 0.002, 0.01, 0.05])
async def test_cancelled_while_the_process_starts(worker: Make, seconds: float) -> None:
    matcher = worker()
    asked = questions(rules_of_numbers(), 2, 3)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await matcher.match(asked)
    assert await matcher.match(asked) == [(2,), (3,)]


async def test_started_before_the_first_question(worker: Make) -> None:
    matcher = worker()
    await matcher.start()
    pid = pid_of(matcher)
    await matcher.start()
    assert await matcher.match(questions(rules_of_numbers(), 1)) == [(1,)]
    assert pid_of(matcher) == pid
    with pytest.raises(MatcherError, match="does not start"):
        await worker("not at all").start()


async def test_asked_by_several_at_once(worker: Make) -> None:
    matcher = worker()
    program = rules_of_numbers()
    answers = await asyncio.gather(*(matcher.match(questions(program, n)) for n in range(10)))
    assert answers == [[(n,)] for n in range(10)]


async def test_close_ends_the_process_and_may_be_called_twice(worker: Make) -> None:
    matcher = worker()
    await matcher.close()
    await matcher.match(questions(rules_of_numbers(), 1))
    pid = pid_of(matcher)
    await matcher.close()
    assert not psutil.pid_exists(pid)
    await matcher.close()


async def test_close_ends_a_process_that_does_not_listen(worker: Make) -> None:
    matcher = worker("deaf")
    await matcher.match(questions(rules_of_numbers(), 1))
    before = time.monotonic()
    await matcher.close()
    assert time.monotonic() - before < 4
    assert psutil.Process().children() == []


@pytest.mark.parametrize("way", ["not at all", "garbage"])
async def test_a_command_that_is_no_worker_is_an_error(worker: Make, way: str) -> None:
    matcher = worker(way)
    with pytest.raises(MatcherError, match="does not start"):
        await matcher.match(questions(rules_of_numbers(), 1))


async def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    program = rules_of_numbers()
    matcher = WorkerMatcher(program, command=(str(tmp_path / "nowhere"),))
    with pytest.raises(MatcherError, match="No such file"):
        await matcher.match(questions(program, 1))
    await matcher.close()


async def test_the_worker_checks_what_it_is_given() -> None:
    program = rules_of_numbers()
    unsafe = {**program.shards[0].definition, "r0": {"all": [{"m": {"$mt": {"c0": "a"}}}]}}
    program = replace(program, shards=(replace(program.shards[0], definition=unsafe),))
    matcher = WorkerMatcher(program)
    with pytest.raises(MatcherError, match="not allowed"):
        await matcher.match(questions(program, 1))
    await matcher.close()


async def test_the_engine_sets_the_poison_aside_and_goes_on(worker: Make) -> None:
    engine = Engine(load(*({"when": {"event_type": "fail", "metadata.n": n}} for n in range(10))))
    matcher = worker("crash")
    signals = await detect(engine, matcher, digits(1, POISON, 8))
    assert [s.event_id for s in signals if isinstance(s, Quarantined)] == [f"e{POISON}"]
    assert [s.event_ids for s in signals if isinstance(s, Detection)] == [("e1",), ("e8",)]
    assert engine.statistics.quarantined == 1
    (later,) = await detect(engine, matcher, [event("later", 60, metadata={"n": 3})])
    assert isinstance(later, Detection)


async def test_what_was_set_aside_once_is_asked_for_again(worker: Make) -> None:
    """What ended the worker is not known for sure: it may have been a machine that was busy."""
    engine = Engine(load({"when": {"event_type": "fail", "metadata.n": {"in": list(range(10))}}}))

    class Dead:
        async def match(self, asked: list[Question]) -> list[None]:
            return [None] * len(asked)

        async def start(self) -> None: ...

        async def close(self) -> None: ...

    (first,) = await detect(engine, Dead(), digits(1))  # type: ignore[arg-type]
    assert isinstance(first, Quarantined)
    (second,) = await detect(engine, worker(), [event("again", 5, metadata={"n": 1})])
    assert isinstance(second, Detection)


async def appears(path: Path) -> None:
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.005)
