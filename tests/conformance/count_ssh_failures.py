"""Counts by itself: 5 or more failed passwords from one address within 60 s, over an sshd log.

Shares no code with Tocsin: it is what the rule's detections are held against.
Usage: python count_ssh_failures.py FILE
"""

import re
import sys
from datetime import datetime

LINE = re.compile(r"^(\w{3} +\d+ \d\d:\d\d:\d\d) \S+ sshd\[\d+\]: (.*)$")
REPEATED = re.compile(r"^message repeated (\d+) times: \[ (.*)\]$")
FAILED = re.compile(r"^Failed password for .+ from (\S+) port \d+")

times: dict[str, list[datetime]] = {}
firing: set[str] = set()
with open(sys.argv[1], encoding="utf-8", errors="replace") as log:  # noqa: PTH123 - on its own
    for line in log:
        stamp, message = LINE.match(line).groups()  # type: ignore[union-attr]
        now = datetime.strptime(f"2000 {stamp}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - one clock
        repeated = REPEATED.match(message)
        count, message = (int(repeated[1]), repeated[2]) if repeated else (1, message)
        # As time moves on, an address falls silent once fewer than five lie within 60 s.
        for address in list(firing):
            if sum((now - then).total_seconds() <= 60 for then in times[address]) < 5:
                firing.discard(address)
        failed = FAILED.match(message)
        for _ in range(count if failed else 0):
            address = failed[1]  # type: ignore[index]
            recent = [t for t in times.get(address, []) if (now - t).total_seconds() <= 60]
            times[address] = [*recent, now]
            if len(times[address]) >= 5 and address not in firing:
                firing.add(address)
                print(now.isoformat(), address, len(times[address]))
