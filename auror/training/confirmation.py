"""From accusation to flag: whom the verdict accuses has to stand out in audited rounds too.

Colluders can move evidence onto an honest client while one of them sits in its group. A round whose
total does without groups of suspects fails its check then (``auror.training.audits``). So a flag
falls on whom the verdict accuses when enough such rounds have passed, and after one that failed
only evidence since then accuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from auror.defence.ledger import Ledger
from auror.ids import ClientId, GroupIndex
from auror.params import RoundParams
from auror.training.audits import AuditDraw, omittable
from auror.training.verdict import Verdict

CONFIRMATIONS = 3
"""Audited rounds that flag whom they accuse: who frames an honest client needs company of it to
lie, in two rounds of five at least, or the evidence would be too weak (docs/defence.md)."""
DOUBTED_CONFIRMATIONS = 6
"""The same for whom the verdict doubts: its evidence varies like that of lies."""
BEFORE = -1
"""Index of the round in which a flag of an earlier run fell."""


@dataclass
class Confirmation:
    """Everybody accused since the last dispute, how many audited rounds it has passed, and on whom
    a flag fell. A round begins, accuses, leaves groups out and then confirms or disputes."""

    passed: dict[ClientId, int] = field(default_factory=dict)
    """Client → audited rounds that it has passed."""
    disputed: int = -1
    """Index of the last round whose check failed while it tested somebody; -1: none."""
    flagged: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round in which its permanent flag fell."""
    fresh: dict[ClientId, int] = field(default_factory=dict)
    """Whom the operator reinstated → index of the first round whose evidence accuses it."""
    confirmed: dict[ClientId, int] = field(default_factory=dict, init=False, compare=False)
    """Client → audited rounds that its flag took; of flags that fell in this process."""
    tested: frozenset[ClientId] = field(default=frozenset(), init=False, compare=False)
    """Whom the round in progress tests."""
    _accused: Mapping[ClientId, int] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def accused(self, verdict: Verdict | None, since: Verdict | None) -> dict[ClientId, int]:
        """Client → audited rounds that it takes to flag it; nobody who is flagged already.

        ``since``: the verdict on what was opened since the dispute, None when there was nothing;
        it counts if there was a dispute.
        """
        if verdict is None:
            return {}
        needed = dict.fromkeys(verdict.doubted, DOUBTED_CONFIRMATIONS)
        needed |= dict.fromkeys(verdict.flagged, CONFIRMATIONS)
        if self.disputed >= 0:
            still = frozenset() if since is None else since.flagged | since.doubted
            needed = {client: rounds for client, rounds in needed.items() if client in still}
        return {client: needed[client] for client in sorted(needed.keys() - self.flagged.keys())}

    def accused_in(
        self, ledger: Ledger, verdict: Verdict | None, judge: Callable[[Ledger], Verdict]
    ) -> dict[ClientId, int]:
        """``accused`` by the ``verdict`` on ``ledger``.

        ``judge`` is asked about what was opened since the dispute, when that matters.
        """
        since = None
        new = verdict is not None and (verdict.flagged | verdict.doubted) - self.flagged.keys()
        if self.disputed >= 0 and new:
            later = ledger.since(self.disputed)
            since = judge(later) if later.rounds else None
        found = self.accused(verdict, since)
        for client, first in self.fresh.items():
            if client in found and not _accuses(
                client, ledger.since(max(first - 1, self.disputed)), judge
            ):
                del found[client]
        return found

    def readmit(self, client: ClientId, index: int) -> None:
        """The operator reinstated ``client`` before round ``index``: nothing of before counts."""
        self.flagged.pop(client, None)
        self.passed.pop(client, None)
        self.fresh[client] = index

    def begin(self) -> None:
        """A new round; it tests nobody until somebody is accused."""
        self.test({}, ())

    def test(self, accused: Mapping[ClientId, int], here: Collection[ClientId]) -> None:
        """Test the ``accused``, and for a while those who were, as far as they are ``here``."""
        self._accused = accused
        lately = {client for client, rounds in self.passed.items() if rounds < CONFIRMATIONS}
        self.tested = frozenset(accused.keys() | lately).intersection(here)

    def left_out(
        self,
        groups: Mapping[GroupIndex, tuple[ClientId, ...]],
        cohort: int,
        params: RoundParams,
        fewest: int,
        draw: AuditDraw,
    ) -> dict[GroupIndex, tuple[ClientId, ...]]:
        """Those of ``groups`` that an audit leaves out of the total, with the suspects in them.

        A total needs ``fewest`` clients. If it can do without none of the suspects' groups, this
        round tests nobody.
        """
        holding = {
            index: tuple(sorted(found))
            for index, members in groups.items()
            if (found := self.tested.intersection(members))
        }
        sizes = {index: len(members) for index, members in groups.items()}
        drawn = draw(tuple(groups), tuple(holding))
        out = omittable(drawn, sizes, cohort, params, fewest)
        if not holding.keys() & set(out):
            self.tested = frozenset()
        return {index: holding.get(index, ()) for index in out}

    def confirm(self, index: int) -> tuple[ClientId, ...]:
        """The check of round ``index`` passed. Returns whom that flags, sorted."""
        for client in self.tested:
            self.passed[client] = self.passed.get(client, 0) + 1
        flagged = tuple(
            client
            for client in sorted(self.tested)
            if self.passed[client] >= self._accused.get(client, math.inf)
        )
        for client in flagged:
            self.confirmed[client] = self.passed.pop(client)
            self.flagged[client] = index
        return flagged

    def dispute(self, index: int) -> None:
        """The check of round ``index`` failed; if it tested somebody, colluders lie."""
        if self.tested:
            self.passed.clear()
            self.disputed = index

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, between two rounds."""
        return {
            "passed": {str(client): count for client, count in self.passed.items()},
            "disputed": self.disputed,
            "flagged": {str(client): index for client, index in self.flagged.items()},
            "fresh": {str(client): index for client, index in self.fresh.items()},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Confirmation:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            passed={ClientId(int(c)): int(count) for c, count in raw["passed"].items()},
            disputed=int(raw["disputed"]),
            flagged={ClientId(int(c)): int(index) for c, index in raw["flagged"].items()},
            fresh={ClientId(int(c)): int(index) for c, index in raw["fresh"].items()},
        )


def _accuses(client: ClientId, ledger: Ledger, judge: Callable[[Ledger], Verdict]) -> bool:
    if not ledger.rounds:
        return False
    verdict = judge(ledger)
    return client in verdict.flagged | verdict.doubted
