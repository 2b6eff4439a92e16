"""Kept states of a run that an upgrade changes."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from auror.deployment.run_seals import of_generation
from auror.deployment.run_tables import generations


def add_to_states(parts: dict[str, Any]) -> None:
    """Give every kept state ``parts``, and a seal that fits it."""
    connection = op.get_bind()
    for row in connection.execute(sa.select(generations)).all():
        state = {**json.loads(row.state), **parts}
        changed = {**row._asdict(), "state": json.dumps(state, separators=(",", ":"))}
        connection.execute(
            generations.update()
            .where(generations.c.number == row.number)
            .values(state=changed["state"], sealed=of_generation(changed))
        )
