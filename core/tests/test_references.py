"""Secrets are recognised in the texts of others."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tocsin.references import redact

SECRET = "hunter2-is-secret"


@pytest.mark.parametrize("secret", ["hunter2 \\ \" and '", "hunter2\nin lines", "hunter2/ä?=&"])
@pytest.mark.parametrize("show", [str, repr, json.dumps, quote])
def test_every_form_is_recognised(secret: str, show: Any) -> None:
    told = redact(f"found {show(secret)} here", {secret})
    assert told.replace("'", "").replace('"', "") == "found *** here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("found 'hunter2-is...", "found '***..."),
        ("found 'hun...", "found 'hun..."),  # as little as that may stand in any text
        ("[input_value='hunter2...is-secret']", "[input_value='***...***']"),
        ("wait... hunter2", "wait... hunter2"),
        ("x" * 1000 + SECRET, "x" * 1000 + "***"),
    ],
)
def test_what_is_cut_is_recognised(text: str, expected: str) -> None:
    assert redact(text, {SECRET}) == expected


def test_a_secret_in_another_is_taken_out_with_it() -> None:
    assert redact("a hunter2-is-secret b", {"hunter2", SECRET}) == "a *** b"
