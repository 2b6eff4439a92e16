"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("deployment", sa.String, nullable=False),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("policy_digest", sa.String, nullable=False),
        sa.Column("roster", sa.String, nullable=False),
        sa.Column("settings", sa.String, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("era", sa.Integer, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("parent", sa.String, nullable=False),
    )
    op.create_table(
        "rounds",
        sa.Column("counter", sa.Integer, primary_key=True),
        sa.Column("era", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("attempted", sa.Boolean, nullable=False),
        sa.Column("disputed", sa.Boolean, nullable=False),
        sa.Column("statistics_asked", sa.Boolean, nullable=False),
        sa.Column("shares_asked", sa.Boolean, nullable=False),
        sa.Column("position", sa.Integer, unique=True),
        sa.Column("aborted", sa.String),
        sa.Column("interrupted", sa.Boolean),
        sa.Column("total_opened", sa.Boolean),
        sa.Column("groups_opened", sa.Integer),
        sa.Column("record", sa.String),
        sa.Column("timings", sa.String),
        sa.Column("total", sa.String),
        sa.Column("sealed", sa.String),
        sa.ForeignKeyConstraint(["era", "step"], ["models.era", "models.step"]),
    )
    op.create_table(
        "facts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("counter", sa.Integer, sa.ForeignKey("rounds.counter"), nullable=False),
        sa.Column("fact", sa.String, nullable=False),
        sa.Column("sealed", sa.String, nullable=False),
    )
    op.create_index("ix_facts_counter", "facts", ["counter"])
    op.create_table(
        "ledger_rounds",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("era", sa.Integer, nullable=False),
        sa.Column("gram", sa.LargeBinary),
        sa.Column("sealed", sa.String, nullable=False),
    )
    op.create_table(
        "observations",
        sa.Column(
            "position", sa.Integer, sa.ForeignKey("ledger_rounds.position"), primary_key=True
        ),
        sa.Column("group", sa.Integer, primary_key=True),
        sa.Column("members", sa.String, nullable=False),
        sa.Column("mean", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("sealed", sa.String, nullable=False),
    )
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("previous", sa.String),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("sealed", sa.String, nullable=False),
    )
