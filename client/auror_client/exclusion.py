"""How a client's program ends that is excluded for good."""

from __future__ import annotations

from collections.abc import Sequence

from auror.errors import Excluded
from auror.ids import ClientId


def check_excluded(told: Sequence[tuple[ClientId, str]]) -> None:
    """Raises Excluded when any of the clients of this process was ``told`` that it is."""
    if not told:
        return
    more = f" (and {len(told) - 1} more of this process, see the log)" if len(told) > 1 else ""
    raise Excluded(told[0][1] + more)
