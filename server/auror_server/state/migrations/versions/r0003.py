"""Runs that follow others: which era was a run's first."""

from __future__ import annotations

from auror_server.state.migrations.states import add_to_states

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Those before began with era 0."""
    add_to_states({"first_era": 0})
