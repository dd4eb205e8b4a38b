"""Everything that is kept: one SQL database, SQLite or PostgreSQL."""
