"""What one client's data were used for: its own account, from what it keeps durably."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auror.ids import ClientId
from auror.round.client.memory import ClientMemory


@dataclass(frozen=True)
class Account:
    """Counted over all trainings under the policies of one deployment."""

    client: ClientId
    rounds: int
    """Rounds joined."""
    attempts: int
    """Rounds in which an upload may have left."""
    openings: int
    """Rounds in which statistics may have left."""
    label_openings: int
    """Of those, rounds in which label rows may have left; the others open challenge rows only."""
    totals: int
    """Totals that it may have helped to open."""
    smallest_group: int | None
    """Fewest members of a group that hid its statistics; None when none did."""
    leverage: float | None
    """Its largest share in one opened sum of statistics, 1 / smallest group. It bounds one round,
    not what many rounds tell together: no single client can compute that, the server's report
    estimates it."""

    @classmethod
    def of(cls, client: ClientId, memory: ClientMemory) -> Account:
        group = memory.smallest_group or None
        return cls(
            client,
            memory.rounds,
            memory.all_attempts,
            memory.openings,
            memory.label_openings,
            memory.totals,
            group,
            1 / group if group else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def as_text(accounts: Sequence[Account]) -> str:
    """A line per client."""
    return "\n".join(_line(account) for account in accounts)


def _line(account: Account) -> str:
    hidden = (
        "no statistics were opened"
        if account.smallest_group is None
        else f"smallest group {account.smallest_group} (leverage {account.leverage:.2f})"
    )
    return (
        f"account of client {account.client}: {account.rounds} rounds joined,"
        f" {account.attempts} attempts, {account.openings} openings ({account.label_openings} of"
        f" label rows), {account.totals} totals,"
        f" {hidden}"
    )
