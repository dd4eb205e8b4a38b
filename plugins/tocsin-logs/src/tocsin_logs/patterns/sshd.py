"""Lines of the OpenSSH server in a syslog file, such as `/var/log/auth.log`."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import JsonValue

from tocsin.models import IncidentSeverity
from tocsin_logs.instants import Calendar
from tocsin_logs.patterns.drafts import Draft, Pattern, base_name, given
from tocsin_logs.patterns.syslog import read_header

Found = tuple[str, dict[str, JsonValue]]
"""An event type and its metadata."""

_PROGRAMS = frozenset({"sshd", "sshd-session", "sshd-auth"})
_SEVERITIES = {
    "ssh.failed_password": IncidentSeverity.MEDIUM,
    "ssh.invalid_user": IncidentSeverity.MEDIUM,
    "ssh.authentication_failure": IncidentSeverity.MEDIUM,
    "ssh.break_in_attempt": IncidentSeverity.MEDIUM,
    "ssh.max_attempts": IncidentSeverity.HIGH,
}
_METHODS = {
    "password": "ssh.failed_password",
    "keyboard-interactive/pam": "ssh.failed_password",
    # Clients try each of their keys and `none` before they ask for a password: no sign of guessing.
    "publickey": "ssh.failed_publickey",
    "none": "ssh.failed_none",
}

# The client chooses the user name, and may choose ` from 192.0.2.1 port 22 ssh2`. What the server
# itself appends comes last: every `.*` before an address is greedy, so that the last one counts.
_FROM = r"from (\S+) port ([0-9]{1,5})(?: ssh[0-9])?"
_USER_AT = r"(?:(?:authenticating|invalid) )?user (.*) (\S+) port ([0-9]{1,5})"
_AT = r"(\S+)(?: port ([0-9]{1,5}))?"
_REPEATED = re.compile(r"message repeated ([0-9]{1,9}) times: \[ (.*)\]")
_FAILED = re.compile(rf"Failed (\S+) for (invalid user |illegal user )?(.*) {_FROM}(: .*)?")
_ACCEPTED = re.compile(rf"Accepted (\S+) for (.*) {_FROM}(: .*)?")
_INVALID = re.compile(r"(?:Invalid|Illegal) user (.*) from (\S+)(?: port ([0-9]{1,5}))?")
_CLOSED = re.compile(rf"Connection (?:closed|reset) by (?:{_USER_AT}|{_AT})")
_RECEIVED = re.compile(
    r"Received disconnect from (\S+?)(?: port ([0-9]{1,5}))?: ?([0-9]{1,4}): (.*)"
)
_DISCONNECTED = re.compile(rf"Disconnected from (?:{_USER_AT}|{_AT})")
_DISCONNECTING = re.compile(rf"Disconnecting(?: {_USER_AT})?: (.*)")
_TOO_MANY = re.compile(
    rf"Too many authentication failures(?: for (?:invalid user )?(.*?))?(?: {_FROM})?"
)
_EXCEEDED = re.compile(f"maximum authentication attempts exceeded for (invalid user )?(.*) {_FROM}")
_REMOTE = re.compile(r" rhost=(\S*)(?: +user=(.*))?")
_PAM_MORE = re.compile(r"PAM ([0-9]{1,6}) more authentication failures?;")
_PAM_DIALOG = re.compile(
    r"PAM: Authentication failure for (?:illegal user |invalid user )?(.*) from (\S+)"
)
_REVERSE = re.compile(r"reverse mapping checking getaddrinfo for (.*) \[([^\]\s]+)\] failed.*")
_ADDRESS = re.compile(r"Address (\S+) maps to (\S+), but .*")
_LONGEST_PROCESS = 10


class SshdPattern(Pattern):
    """Every line of the server: logins, failures and what it suspects, the rest as `ssh.other`."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def read(self, line: str, *, origin: str) -> Draft | None:
        """Read one clean line."""
        header = read_header(line, self._calendar)
        if header is None or header.app not in _PROGRAMS:
            return None
        text, repeated = header.text.rstrip(), None
        if text.startswith("message repeated ") and (found := _REPEATED.fullmatch(text)):
            repeated, text = int(found[1]), found[2]
        event_type, metadata = _classified(text)
        metadata["host"] = header.host
        if header.process.isdecimal() and len(header.process) <= _LONGEST_PROCESS:
            metadata["pid"] = int(header.process)
        return Draft(
            at=header.at,
            event_type=event_type,
            source=header.host or base_name(origin),
            severity=_SEVERITIES.get(event_type, IncidentSeverity.LOW),
            message=header.text,
            metadata=metadata,
            repeated=repeated,
        )


def _classified(text: str) -> Found:
    text = text.removeprefix("error: ").removesuffix(" [preauth]")
    read = _READERS.get(text.partition(" ")[0])
    if read is None and text.startswith("pam_"):
        read = _pam
    found = read(text) if read is not None else None
    return found or ("ssh.other", {})


def _failed(text: str) -> Found | None:
    if not (found := _FAILED.fullmatch(text)):
        return None
    method, invalid, user, address, port, more = found.groups()
    event_type = _METHODS.get(method, "ssh.failed_other")
    if _forgeable(user, more):
        return event_type, {"method": method}
    return event_type, {
        "user": user,
        "invalid_user": invalid is not None,
        "address": address,
        "port": int(port),
        "method": method,
    }


def _accepted(text: str) -> Found | None:
    if not (found := _ACCEPTED.fullmatch(text)):
        return None
    method, user, address, port, more = found.groups()
    if _forgeable(user, more):
        return "ssh.accepted", {"method": method}
    return "ssh.accepted", {"user": user, "address": address, "port": int(port), "method": method}


def _forgeable(user: str, more: str | None) -> bool:
    """Say whether the address found may stand in the name of a key instead of before it."""
    return more is not None and " port " in user


def _invalid_user(text: str) -> Found | None:
    if not (found := _INVALID.fullmatch(text)):
        return None
    user, address, port = found.groups()
    return "ssh.invalid_user", {"user": user, "invalid_user": True, **_place(address, port)}


def _connection(text: str) -> Found | None:
    if not (found := _CLOSED.fullmatch(text)):
        return None
    return "ssh.connection_closed", _user_and_place(found)


def _received(text: str) -> Found | None:
    if not (found := _RECEIVED.fullmatch(text)):
        return None
    address, port, code, reason = found.groups()
    return "ssh.disconnected", {**_place(address, port), "code": int(code), "reason": reason}


def _disconnected(text: str) -> Found | None:
    if not (found := _DISCONNECTED.fullmatch(text)):
        return None
    return "ssh.disconnected", _user_and_place(found)


def _disconnecting(text: str) -> Found | None:
    if not (found := _DISCONNECTING.fullmatch(text)):
        return None
    user, address, port, reason = found.groups()
    if text.count(" port ") > 1:
        # The name before the address and the reason after it are both chosen by the client.
        user = address = port = None
    if many := _TOO_MANY.fullmatch(reason):
        user, address, port = user or many[1], address or many[2], port or many[3]
        return "ssh.max_attempts", {**given({"user": user}), **_place(address, port)}
    return "ssh.disconnected", {
        **given({"user": user, "reason": reason}),
        **_place(address, port),
    }


def _exceeded(text: str) -> Found | None:
    if not (found := _EXCEEDED.fullmatch(text)):
        return None
    invalid, user, address, port = found.groups()
    return "ssh.max_attempts", {
        "user": user,
        "invalid_user": invalid is not None,
        **_place(address, port),
    }


def _pam(text: str) -> Found | None:
    if "authentication failure" not in text or not (found := _REMOTE.search(text)):
        return None
    metadata = given({"user": found[2], "address": found[1]})
    if more := _PAM_MORE.match(text):
        metadata["failures"] = int(more[1])
    return "ssh.authentication_failure", metadata


def _pam_service(text: str) -> Found | None:
    return ("ssh.max_attempts", {}) if "ignoring max retries" in text else _pam(text)


def _pam_dialog(text: str) -> Found | None:
    if not (found := _PAM_DIALOG.fullmatch(text)):
        return None
    return "ssh.authentication_failure", {"user": found[1], "address": found[2]}


def _reverse(text: str) -> Found | None:
    if not (found := _REVERSE.fullmatch(text)):
        return None
    return "ssh.break_in_attempt", {"address": found[2], "name": found[1]}


def _address(text: str) -> Found | None:
    if not (found := _ADDRESS.fullmatch(text)):
        return None
    return "ssh.break_in_attempt", {"address": found[1], "name": found[2]}


def _user_and_place(found: re.Match[str]) -> dict[str, JsonValue]:
    user, address, port, bare_address, bare_port = found.groups()
    return {**given({"user": user}), **_place(address or bare_address, port or bare_port)}


def _place(address: str | None, port: str | None) -> dict[str, JsonValue]:
    return given({"address": address, "port": int(port) if port else None})


_READERS: dict[str, Callable[[str], Found | None]] = {
    "Failed": _failed,
    "Accepted": _accepted,
    "Invalid": _invalid_user,
    "Illegal": _invalid_user,
    "Connection": _connection,
    "Received": _received,
    "Disconnected": _disconnected,
    "Disconnecting": _disconnecting,
    "Disconnecting:": _disconnecting,
    "maximum": _exceeded,
    "PAM": _pam_service,
    "PAM:": _pam_dialog,
    "reverse": _reverse,
    "Address": _address,
}
"""By the first word of the text."""
