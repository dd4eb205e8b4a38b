"""Fixtures that the tests of the store share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from store.support import opened
from tocsin.store.database import Database


@pytest_asyncio.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """Give an open database of each kind."""
    async with opened(store_url) as database:
        yield database
