"""Runs that follow others: which era was a run's first."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from auror.deployment.run_seals import of_generation
from auror.deployment.run_tables import generations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Those before began with era 0."""
    connection = op.get_bind()
    for row in connection.execute(sa.select(generations)).all():
        state = {**json.loads(row.state), "first_era": 0}
        changed = {**row._asdict(), "state": json.dumps(state, separators=(",", ":"))}
        connection.execute(
            generations.update()
            .where(generations.c.number == row.number)
            .values(state=changed["state"], sealed=of_generation(changed))
        )
