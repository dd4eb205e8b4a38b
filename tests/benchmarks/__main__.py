"""Runs the benchmarks, all or those named, and prints one JSON object."""

from __future__ import annotations

import argparse
import platform
import sys

import orjson

from tests.benchmarks import durable, matching, memory, replaying

BENCHMARKS = {
    "matching": matching.run,
    "replay": replaying.run,
    "durable": durable.run,
    "memory": memory.run,
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all without any")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    results: dict[str, object] = {"python": platform.python_version()}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201 - a program's output
        results[name] = BENCHMARKS[name]()
    print(orjson.dumps(results, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - see above


if __name__ == "__main__":
    main()
