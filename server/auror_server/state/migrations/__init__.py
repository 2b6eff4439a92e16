"""Alembic's migrations of the tables of ``state.db``."""
