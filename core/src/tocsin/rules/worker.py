"""The rules engine in a process of its own, which may crash or hang without harm.

The parent writes a frame for each batch and reads one back. A batch that is not answered in time,
or that ends the process, is asked again in halves by a new process, until the one record that does
it is found; that record gets no verdict, and all the others get theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import orjson

from tocsin.errors import MatcherError
from tocsin.rules.compiler import Program
from tocsin.rules.matcher import EngineShard, Question, Verdict, load_engine
from tocsin.rules.projection import to_fact

_HEADER = struct.Struct("!I")
_MAX_FRAME = 256 * 1024 * 1024
_MAX_QUESTIONS = 2000
"""Questions in one frame, so that a deadline is for a bounded amount of work."""
_START_SECONDS = 30.0
_STOP_SECONDS = 2.0
_MAX_MEMORY = 4 * 1024**3
_RECYCLE_AFTER = 50_000_000
"""Questions after which a worker is replaced: nobody has measured the engine for longer."""

COMMAND = (sys.executable, "-I", "-m", "tocsin.rules.worker")


class WorkerMatcher:
    """Judges in a child process, with a deadline for each batch."""

    def __init__(
        self, program: Program, *, deadline: float = 2.0, command: Sequence[str] = COMMAND
    ) -> None:
        """Prepare; the process starts with `start`, or else with the first batch.

        Args:
            program: the compiled conditions.
            deadline: seconds that a batch may take.
            command: the argument list that runs the worker.
        """
        self.respawns = 0
        """How often a process had to be replaced."""
        self._definitions = orjson.dumps([shard.definition for shard in program.shards])
        self._deadline = deadline
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._asked = 0
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Start the process.

        Raises:
            MatcherError: it does not start.
        """
        async with self._lock:
            await self._ready()

    async def match(self, questions: Sequence[Question]) -> list[Verdict]:
        """Give the verdict on each question, in order; None for one that kills the worker.

        Raises:
            MatcherError: no worker can be started at all.
        """
        verdicts: list[Verdict] = []
        async with self._lock:
            for start in range(0, len(questions), _MAX_QUESTIONS):
                verdicts += await self._ask(questions[start : start + _MAX_QUESTIONS])
        return verdicts

    async def _ask(self, questions: Sequence[Question]) -> list[Verdict]:
        # Once more for a single record: the process may have been killed for another reason.
        for _ in range(2 if len(questions) == 1 else 1):
            answer = await self._try(questions)
            if answer is not None:
                return answer
            self.respawns += 1
        if len(questions) == 1:
            return [None]
        middle = len(questions) // 2
        return await self._ask(questions[:middle]) + await self._ask(questions[middle:])

    async def _try(self, questions: Sequence[Question]) -> list[Verdict] | None:
        """Ask once; None where the process died or hung, and is then gone."""
        process = await self._ready()
        frame = "\n".join(f"{shard} {to_fact(record)}" for shard, record in questions)
        try:
            async with asyncio.timeout(self._deadline):
                raw = await _exchange(process, frame.encode())
        except (TimeoutError, OSError, EOFError):
            await self._end()
            return None
        except BaseException:
            # Cancelled in the middle of an exchange: the answer would be taken for a later one.
            await asyncio.shield(self._end())
            raise
        self._asked += len(questions)
        answers = orjson.loads(raw)
        return [None if numbers is None else tuple(numbers) for numbers in answers]

    async def _ready(self) -> asyncio.subprocess.Process:
        """Give the process, started if need be; one that dies while it starts is started again."""
        try:
            return await self._running()
        except MatcherError:
            return await self._running()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._asked >= _RECYCLE_AFTER:
            await self._end()
        if self._process is not None:
            return self._process
        self._asked = 0
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, start_new_session=True
            )
            async with asyncio.timeout(_START_SECONDS):
                ready = await _exchange(self._process, self._definitions)
        except (TimeoutError, OSError, EOFError) as error:
            await self._end()
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise MatcherError(f"the rules worker does not start ({reason})") from error
        except BaseException:
            # Cancelled before it was ready: its answer would be taken for that to a question.
            await asyncio.shield(self._end())
            raise
        if ready != b"ready":
            await self._end()
            raise MatcherError(f"the rules worker does not start: {ready.decode(errors='replace')}")
        return self._process

    async def close(self) -> None:
        """End the process; it is asked first, and killed where it does not listen."""
        async with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                process.stdin.close()
                try:
                    async with asyncio.timeout(_STOP_SECONDS):
                        await process.wait()
                except TimeoutError:
                    pass
            await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            # Not `process.kill`: that looks first whether the process has ended, and takes the news
            # of it away from the loop, which waits for them.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
        # The transport closes its pipes in the next turns of the loop.
        transport: Any = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()
        await asyncio.sleep(0)


async def _exchange(process: asyncio.subprocess.Process, frame: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise EOFError("the worker has no pipes")
    process.stdin.write(_HEADER.pack(len(frame)))
    process.stdin.write(frame)
    await process.stdin.drain()
    (length,) = _HEADER.unpack(await process.stdout.readexactly(_HEADER.size))
    if length > _MAX_FRAME:
        raise EOFError("the worker's answer is not a frame")
    return await process.stdout.readexactly(length)


# -- the child's side --------------------------------------------------------------------------


def serve(reader: BinaryIO, writer: BinaryIO, judge: Callable[[EngineShard, str], Verdict]) -> None:
    """Answer frames until the input ends.

    Args:
        reader: where frames come from.
        writer: where answers go.
        judge: says what a shard makes of a fact; tests put faulty ones here.
    """
    definitions = _read(reader)
    if definitions is None:
        return
    try:
        engine = load_engine()
        shards = [
            EngineShard(engine, f"s{index}", definition)
            for index, definition in enumerate(orjson.loads(definitions))
        ]
    except MatcherError as error:
        _write(writer, str(error).encode())
        return
    _write(writer, b"ready")
    while (frame := _read(reader)) is not None:
        answers: list[Verdict] = []
        for line in frame.decode().split("\n"):
            number, _, fact = line.partition(" ")
            answers.append(judge(shards[int(number)], fact))
        _write(writer, orjson.dumps(answers))


def _read(reader: BinaryIO) -> bytes | None:
    header = reader.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack(header)
    frame = reader.read(length)
    return frame if len(frame) == length else None


def _write(writer: BinaryIO, frame: bytes) -> None:
    writer.write(_HEADER.pack(len(frame)) + frame)
    writer.flush()


def main() -> None:
    """Serve the parent through standard input and output, with bounded memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    serve(sys.stdin.buffer, sys.stdout.buffer, EngineShard.match)


if __name__ == "__main__":
    main()
