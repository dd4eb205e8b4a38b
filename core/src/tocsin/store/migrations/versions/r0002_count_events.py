"""Count the events of a journal, which forgets them in time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Begin with what the journal still holds: what it has forgotten cannot be counted."""
    events = sa.Column("events", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("streams", events)
    op.execute(
        "UPDATE streams SET events = (SELECT COALESCE(SUM(journal.count), 0) FROM journal"
        " WHERE journal.stream = streams.stream)"
    )
