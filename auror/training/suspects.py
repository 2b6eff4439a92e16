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
from typing import Any, Protocol

from auror.defense.ledger import Ledger
from auror.ids import ClientId, GroupIndex
from auror.params import RoundParams
from auror.training.audits import Draw, spared

CONFIRMATIONS = 3
"""Audited rounds that flag whom they accuse: who frames an honest client needs company of it to
lie, in two rounds of five at least, or the evidence would be too weak (docs/defence.md)."""
DOUBTED_CONFIRMATIONS = 6
"""The same for whom the verdict doubts: its evidence varies like that of lies."""


class Verdict(Protocol):
    """What the evidence says; ``to_dict`` holds the reasons."""

    @property
    def flagged(self) -> frozenset[ClientId]:
        """Everybody whom the bound evidence accuses, earlier ones included."""

    @property
    def doubted(self) -> frozenset[ClientId]:
        """Others who stand out, by evidence that might be somebody else's doing."""

    @property
    def scores(self) -> dict[ClientId, float]:
        """Suspicion by client."""

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""


@dataclass
class Suspects:
    """Everybody accused since the last dispute, and how many audited rounds it has passed."""

    passed: dict[ClientId, int] = field(default_factory=dict)
    disputed: int = -1
    """Index of the last round whose check failed while it tested somebody; -1: none."""

    def accused(self, verdict: Verdict | None, since: Verdict | None) -> dict[ClientId, int]:
        """Client → audited rounds that it takes to flag it.

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
        return dict(sorted(needed.items()))

    def accused_in(
        self,
        ledger: Ledger,
        verdict: Verdict | None,
        judge: Callable[[Ledger], Verdict],
        flagged: Collection[ClientId],
    ) -> dict[ClientId, int]:
        """``accused`` by the ``verdict`` on ``ledger``, less the ``flagged``.

        ``judge`` is asked about what was opened since the dispute, when that matters.
        """
        since = None
        new = verdict is not None and (verdict.flagged | verdict.doubted).difference(flagged)
        if self.disputed >= 0 and new:
            later = ledger.since(self.disputed)
            since = judge(later) if later.rounds else None
        found = self.accused(verdict, since)
        return {client: rounds for client, rounds in found.items() if client not in flagged}

    def tested(self, accused: Mapping[ClientId, int]) -> frozenset[ClientId]:
        """Whom this round should test: the accused, and for a while those who were."""
        lately = {client for client, rounds in self.passed.items() if rounds < CONFIRMATIONS}
        return frozenset(accused.keys() | lately)

    def confirm(
        self, tested: frozenset[ClientId], accused: Mapping[ClientId, int]
    ) -> tuple[ClientId, ...]:
        """A round that tested these passed. Returns which of ``accused`` that flags, sorted."""
        for client in tested:
            self.passed[client] = self.passed.get(client, 0) + 1
        flagged = tuple(c for c in sorted(tested) if self.passed[c] >= accused.get(c, math.inf))
        for client in flagged:
            del self.passed[client]
        return flagged

    def dispute(self, index: int) -> None:
        """The check of round ``index`` failed while it tested somebody: colluders lie."""
        self.passed.clear()
        self.disputed = index

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        passed = {str(client): count for client, count in self.passed.items()}
        return {"passed": passed, "disputed": self.disputed}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Suspects:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        passed = {ClientId(int(client)): int(count) for client, count in raw["passed"].items()}
        return cls(passed, int(raw["disputed"]))


class Inquiry:
    """What every round does about suspects: test them, and draw the conclusion."""

    def __init__(self, suspects: Suspects, draw: Draw) -> None:
        self._suspects = suspects
        self._draw = draw
        self._accused: Mapping[ClientId, int] = {}
        self.tested: frozenset[ClientId] = frozenset()
        """Whom the round in progress tests."""

    def begin(
        self, accused: Mapping[ClientId, int] | None = None, here: Collection[ClientId] = ()
    ) -> None:
        """A new round; ``here``: who can be tested in it."""
        self._accused = accused or {}
        self.tested = self._suspects.tested(self._accused).intersection(here)

    def left_out(
        self,
        groups: Mapping[GroupIndex, tuple[ClientId, ...]],
        cohort: int,
        params: RoundParams,
        fewest: int,
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
        drawn = self._draw(tuple(groups), tuple(holding))
        out = spared(drawn, sizes, cohort, params, fewest)
        if not holding.keys() & set(out):
            self.tested = frozenset()
        return {index: holding.get(index, ()) for index in out}

    def passed(self) -> tuple[ClientId, ...]:
        """The round's check passed. Returns whom that flags, sorted."""
        return self._suspects.confirm(self.tested, self._accused)

    def failed(self, index: int) -> None:
        """The check of round ``index`` failed."""
        if self.tested:
            self._suspects.dispute(index)
