"""What every notifier and every source keeps to, held against ours."""

from __future__ import annotations

from typing import ClassVar

from tocsin_example import plugin as example

from tocsin.testing import NotifierContract, SourceContract


class TestFileNotifier(NotifierContract):
    plugin = example
    name = "file"
    params: ClassVar = {"path": "/dev/null"}


class TestSpoolSource(SourceContract):
    plugin = example
    name = "spool"
    params: ClassVar = {"folder": ".", "limit": 1}
