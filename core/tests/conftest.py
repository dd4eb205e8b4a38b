"""Fixtures that the tests of the core share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database that is not there yet, as the settings would name it: one of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "tocsin.db")
    url: str = request.getfixturevalue("postgres_url")
    return url
