"""The notifier `file`."""

from __future__ import annotations

from pathlib import Path

from tocsin.capabilities import Params
from tocsin.errors import Retryable
from tocsin.models import Notice


class FileParams(Params):
    """Where to write."""

    path: Path
    """The file; what is there already stays."""


class FileNotifier:
    """Appends each notice to a file."""

    def __init__(self, params: FileParams) -> None:
        self._path = params.path

    # Not `async`: writing may block, so it belongs in a worker thread.
    def send(self, notice: Notice) -> None:
        """Append one line.

        Raises:
            Retryable: the file cannot be written now.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(notice.model_dump_json() + "\n")
        except OSError as error:
            raise Retryable(f"{self._path} cannot be written: {error.strerror}") from error
