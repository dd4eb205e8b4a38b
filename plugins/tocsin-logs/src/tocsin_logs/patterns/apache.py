"""The error log of the Apache HTTP server, versions 2.0 to 2.4."""

from __future__ import annotations

import re

from pydantic import JsonValue

from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import Draft, Pattern, base_name, given, severity_of

_LINE = re.compile(
    r"\[([^\]]{20,40})\] \[(?:([\w.-]{0,64}):)?"
    r"(emerg|alert|crit|error|warn|notice|info|debug|trace[1-8])\] (.*)",
    re.DOTALL,
)
_PROCESS = re.compile(r"\[pid ([0-9]{1,10})(?::tid ([0-9]{1,20}))?\] ")
_CLIENT = re.compile(r"\[client ([^\]\s]+)\] ")
_CODE = re.compile(r"(AH[0-9]{5}): ")


class ApacheErrorPattern(Pattern):
    """Every line of the error log, as `apache.<level>`."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        stamp, module, level, text = found.groups()
        name = "trace" if level.startswith("trace") else level
        metadata: dict[str, JsonValue] = {"level": level, **given({"module": module})}
        if process := _PROCESS.match(text):
            metadata |= given({"pid": int(process[1]), "tid": process[2]})
            text = text[process.end() :]
        if client := _CLIENT.search(text):
            # The reason of a system error may stand before the client, the client's words never.
            metadata |= _client(client[1], with_port=module is not None)
            text = text[: client.start()] + text[client.end() :]
        if code := _CODE.match(text):
            metadata["code"] = code[1]
        return Draft(
            at=self._calendar.apache(stamp),
            event_type=f"apache.{name}",
            source=base_name(origin),
            severity=severity_of(name),
            message=text,
            metadata=metadata,
        )


def _client(text: str, *, with_port: bool) -> dict[str, JsonValue]:
    address, _, port = text.rpartition(":")
    # Only the version that names modules adds the port, and an IPv6 address has colons itself.
    if with_port and address and port.isdecimal() and port.isascii() and len(port) <= len("65535"):
        return {"client": address, "port": int(port)}
    return {"client": text}
