"""One evaluator for each stream: a second one is refused, not allowed to double the work."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.errors import StoreError
from tocsin.store.database import Database, translated

_PATIENCE = 1.0
_RETRY = 0.1


class OwnedElsewhereError(StoreError):
    """Another process evaluates the stream."""


class Ownership:
    """The right to evaluate a stream, held until it is released or the process ends."""

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream
        self._file: int | None = None
        self._create = True
        self._connection: AsyncConnection | None = None

    async def acquire(self, *, patience: float = _PATIENCE) -> None:
        """Take the right.

        Args:
            patience: seconds to go on trying; `tocsin status` takes the right for an instant.

        Raises:
            StoreError: somebody else has it.
        """
        # Who only looks must not leave behind a file that another user could not open.
        self._create = patience > 0
        lock = self._lock_row if self._database.postgresql else self._lock_file
        taken = await lock()
        waited = 0.0
        while not taken and waited < patience:
            await asyncio.sleep(_RETRY)
            waited += _RETRY
            taken = await lock()
        if not taken:
            raise OwnedElsewhereError(
                f"another process evaluates stream {self._stream!r} of this database;"
                " stop it, or give this one another 'stream'"
            )

    async def _lock_file(self) -> bool:
        # A link leads to the same database, and must lead to the same lock.
        path = Path(f"{os.path.realpath(self._database.file)}.{self._stream}.lock")  # noqa: ASYNC240
        flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_CREAT if self._create else 0)
        try:
            file = os.open(path, flags, 0o644)
        except OSError as error:
            raise StoreError(f"cannot lock {str(path)!r}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    async def _lock_row(self) -> bool:
        digest = hashlib.sha256(f"tocsin:{self._stream}".encode()).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        connection = await self._database.hold()
        with translated():
            taken = await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(number)))
            # The lock belongs to the session; an open transaction would only hold back clean-up.
            await connection.commit()
        if not taken:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Give the right back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.invalidate()
            await connection.close()
