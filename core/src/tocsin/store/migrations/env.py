"""Called by alembic: brings the connection that it was given to the newest schema."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
