"""Totals that change: what rounds before have shown of it."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from auror.deployment.run_seals import of_generation
from auror.deployment.run_tables import generations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Those before have shown nothing."""
    nothing = {"classes": 0, "recent": "", "usual": "", "counted": 0, "seen": [], "told": 0}
    connection = op.get_bind()
    for row in connection.execute(sa.select(generations)).all():
        state = {**json.loads(row.state), "doubt": {"since": -1, "change": nothing}}
        changed = {**row._asdict(), "state": json.dumps(state, separators=(",", ":"))}
        connection.execute(
            generations.update()
            .where(generations.c.number == row.number)
            .values(state=changed["state"], sealed=of_generation(changed))
        )
