"""A worker that fails in one way at one fact: `faulty_worker.py WAY FOLDER`.

At the fact whose column c0 is `POISON` it crashes, hangs, exits or raises, each time that it comes;
or it stops there once, with the ways that end in `once`. FOLDER is where it notes that it has.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tocsin.rules.matcher import EngineShard, Verdict
from tocsin.rules.worker import serve

POISON = '"c0":14'


def fail(way: str) -> None:
    match way:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(600)
        case "exit":
            os._exit(0)
        case "raise":
            raise RuntimeError("on purpose")


def main(way: str, folder: Path) -> None:
    mark = folder / "been here"

    def judge(shard: EngineShard, fact: str) -> Verdict:
        if POISON in fact and not (way.endswith(" once") and mark.exists()):
            mark.touch()
            fail(way.removesuffix(" once"))
        return shard.match(fact)

    match way:
        case "not at all":
            return
        case "garbage":
            sys.stdout.write("I am not a worker, and say so in more than four bytes.\n")
            sys.stdout.flush()
        case "deaf":
            # Answers, but does not end when its input does.
            serve(sys.stdin.buffer, sys.stdout.buffer, judge)
            time.sleep(600)
        case _:
            serve(sys.stdin.buffer, sys.stdout.buffer, judge)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
