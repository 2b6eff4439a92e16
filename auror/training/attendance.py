"""Silence costs the others a deadline: who keeps falling silent pauses for a while.

A sequential test per client, the CUSUM of Page 1954: every round in which it was invited adds the
log likelihood ratio of a client that is silent in ``OFTEN`` of its rounds against one that is in
``TOLERATED`` of them, and the sum never falls below zero. At ``LIMIT`` it pauses for one round, at
the next excess for two, then four, and so on. Nobody is shut out for good: silence proves nothing.

A sum of log likelihood ratios reaches log(10⁴) on average after 10⁴ rounds at the earliest when the
client is silent in a fifth of its rounds (Lorden 1971, theorem 2). Mean rounds to the first pause,
from the chain of the sums (tests/unit/training/test_attendance.py): 9 for who is always silent, 17
at 70 %, 40 at 50 %, 60,000 at 20 %, 10⁸ at 10 %.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from auror.ids import ClientId

TOLERATED, OFTEN = 0.2, 0.6
"""Part of the rounds in which a client may be silent, and in which it is taken for one that will
not come back by itself."""
LIMIT = math.log(1e4)
_SILENT = math.log(OFTEN / TOLERATED)
_ANSWERED = math.log((1.0 - OFTEN) / (1.0 - TOLERATED))
_LONGEST = 20
UNPUNISHED = -_ANSWERED / (_SILENT - _ANSWERED)
"""Part of its rounds, 0.39, in which a client can be silent for ever without reaching the limit but
by chance."""


@dataclass
class Attendance:
    """What every client's silence adds up to."""

    sums: dict[ClientId, float] = field(default_factory=dict)
    """Client → its sum, in [0, ``LIMIT``]; who has none is not in it."""
    pauses: dict[ClientId, int] = field(default_factory=dict)
    """Client → pauses since its sum was last zero: the next one takes 2 to the power of that."""
    until: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the first round that may invite it again."""
    last: frozenset[ClientId] = frozenset()
    """Who was silent in the last round."""

    def book(
        self, answered: Collection[ClientId], silent: Collection[ClientId], index: int
    ) -> None:
        """Round ``index`` is over: of those that it invited, who was ``silent`` at a deadline and
        who answered in time throughout."""
        for client in answered:
            left = self.sums.get(client, 0.0) + _ANSWERED
            if left > 0.0:
                self.sums[client] = left
            else:
                self.sums.pop(client, None)
                self.pauses.pop(client, None)
        self.last = frozenset(silent)
        for client in self.last:
            self.sums[client] = self.sums.get(client, 0.0) + _SILENT
            if self.sums[client] >= LIMIT:
                self.sums[client] = LIMIT
                self.pause(client, index)

    def pause(self, client: ClientId, index: int) -> None:
        """``client`` is not invited to the next 1, 2, 4 … rounds after round ``index``."""
        times = self.pauses.get(client, 0)
        self.pauses[client] = times + 1
        self.until[client] = index + 1 + (1 << min(times, _LONGEST))

    def came(self, clients: Collection[ClientId]) -> None:
        """What they sent for the last round came after its end: they were late, not silent."""
        for client in self.last.intersection(clients):
            left = self.sums.get(client, 0.0) - _SILENT
            if left > 0.0:
                self.sums[client] = left
            else:
                self.sums.pop(client, None)
            if self.until.pop(client, None) is not None:
                self.pauses[client] -= 1
        self.last -= set(clients)

    def forget(self, client: ClientId) -> None:
        """As if it had never been silent."""
        self.sums.pop(client, None)
        self.pauses.pop(client, None)
        self.until.pop(client, None)
        self.last -= {client}

    def paused(self, index: int) -> frozenset[ClientId]:
        """Whom round ``index`` does not invite."""
        return frozenset(client for client, until in self.until.items() if until > index)

    def soonest(self, clients: Collection[ClientId]) -> list[ClientId]:
        """``clients`` in the order in which they may come back."""
        return sorted(clients, key=lambda c: (self.until.get(c, 0), self.sums.get(c, 0.0), c))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "sums": {str(client): value for client, value in self.sums.items()},
            "pauses": {str(client): value for client, value in self.pauses.items()},
            "until": {str(client): value for client, value in self.until.items()},
            "last": sorted(int(client) for client in self.last),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Attendance:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            sums={ClientId(int(client)): float(value) for client, value in raw["sums"].items()},
            pauses={ClientId(int(client)): int(value) for client, value in raw["pauses"].items()},
            until={ClientId(int(client)): int(value) for client, value in raw["until"].items()},
            last=frozenset(ClientId(int(client)) for client in raw["last"]),
        )
