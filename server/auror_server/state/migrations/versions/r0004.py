"""Entries of the audit are packed: half as large."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from auror.deployment.audit_log import packed

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """What is hashed and signed is the text, as before."""
    op.rename_table("audit", "audit_before")
    made = op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("head", sa.String, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT * FROM audit_before")).mappings().all():
        connection.execute(made.insert(), {**row, "entry": packed(row["entry"])})
    op.drop_table("audit_before")
