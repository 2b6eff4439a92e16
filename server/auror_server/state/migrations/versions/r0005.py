"""Totals that change: what rounds before have shown of it."""

from __future__ import annotations

from auror_server.state.migrations.states import add_to_states

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Those before have shown nothing."""
    nothing = {"classes": 0, "recent": "", "usual": "", "counted": 0, "seen": [], "told": 0}
    add_to_states({"doubt": {"since": -1, "change": nothing}})
