"""Alembic's entry: the connection comes from ``auror_server.state.revisions``, no ini file."""

from __future__ import annotations

from alembic import context

from auror.deployment.run_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
