"""What every notifier and every source keeps to, held against ours."""

from __future__ import annotations

from typing import Any, ClassVar

from tocsin_example import plugin as example

from tocsin.testing import NotifierContract, SourceContract


class TestFileNotifier(NotifierContract):
    plugin: ClassVar = example
    name = "file"
    params: ClassVar[dict[str, Any]] = {"path": "/dev/null"}


class TestSpoolSource(SourceContract):
    plugin: ClassVar = example
    name = "spool"
    params: ClassVar[dict[str, Any]] = {"folder": ".", "limit": 1}
