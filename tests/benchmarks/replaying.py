"""`tocsin replay` as a whole process: speed, peak memory, and whether memory is flat."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.data import rules_text, write_events

_RUNS = 3
# A process of its own: what is measured would else begin with the memory of this one.
_LAUNCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
with open(sys.argv[1], "wb") as output:
    subprocess.run([sys.executable, *sys.argv[2:]], stdout=output, stderr=-3, check=True)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def run(*, number: int = 500_000) -> dict[str, Any]:
    """Measure a replay of so many JSON lines with 100 rules over 10 event types, 1 % hits."""
    with tempfile.TemporaryDirectory() as folder:
        rules, long, short = (
            Path(folder) / name for name in ("r.yaml", "long.jsonl", "short.jsonl")
        )
        rules.write_text(rules_text(100, 10))
        write_events(long, number, types=10, regions=10)
        write_events(short, number // 5, types=10, regions=10)
        runs = [_replay(rules, long) for _ in range(_RUNS)]
        _, short_memory, _ = _replay(rules, short)
    seconds = median(each[0] for each in runs)
    memory = max(each[1] for each in runs)
    return {
        "events": number,
        "detections": runs[0][2],
        "seconds": round(seconds, 2),
        "events_per_second": round(number / seconds),
        "peak_mb": round(memory),
        "peak_mb_at_a_fifth_of_the_input": round(short_memory),
        "wanted": {"events_per_second": "100000 or more", "peak_mb": "under 300, flat"},
    }


def _replay(rules: Path, events: Path) -> tuple[float, float, int]:
    """Give the seconds, the peak memory of all processes in MB, and the number of detections."""
    command = ["-m", "tocsin", "replay", "--rules", str(rules), "--events", str(events)]
    with tempfile.NamedTemporaryFile() as output:
        launch = [sys.executable, "-c", _LAUNCH, output.name, *command]
        seconds, memory = map(float, subprocess.check_output(launch).split())
        detections = sum(b'"kind":"detection"' in line for line in output)
    return seconds, memory, detections
