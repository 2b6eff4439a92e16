"""The audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Begin one: of earlier rounds nobody kept signatures."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("entry", sa.String, nullable=False),
        sa.Column("head", sa.String, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
