"""How clients behave in rounds: whom proven lies cost the invitation, who pauses for its silence,
and who trains together while liars are being found."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from auror.crypto.entropy import Entropy
from auror.defence.liability import Liability
from auror.errors import DropReason
from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.record import MarkKind
from auror.round.summary import RoundSummary
from auror.training.attendance import Attendance

MAX_SILENCES = 3
"""Rounds in a row in which a client may upload and then keep its statistics back: then it pauses,
as ``auror.training.attendance`` says."""

MAX_WITHHELD = 3
"""Failed checks in which a client may keep its masks closed in a group that no mark touches. Over
the run, not in a row: colluders could take turns."""


@dataclass
class Conduct:
    """What every client did or was proven to have done, whatever its statistics say."""

    excluded: dict[ClientId, int] = field(default_factory=dict)
    """Client → index of the round whose marks proved that it lied."""
    silences: dict[ClientId, int] = field(default_factory=dict)
    """Client → rounds in a row in which it uploaded and then sent no statistics."""
    attendance: Attendance = field(default_factory=Attendance)
    withheld: dict[ClientId, int] = field(default_factory=dict)
    """Client → failed checks in which its masks stayed closed in a group without marks."""
    pairs: list[frozenset[ClientId]] = field(default_factory=list)
    """Two clients that disagreed about the mask they share: one of them lied."""
    liability: Liability = field(default_factory=Liability)
    cautious: bool = False
    """The last check failed: the next round invites the least suspected half only."""
    disputed: int = 0
    """Attempts in rounds of the least suspected half."""

    @property
    def uninvited(self) -> frozenset[ClientId]:
        """Proven liars, and who keeps its masks closed."""
        hiding = {c for c, times in self.withheld.items() if times >= MAX_WITHHELD}
        return frozenset(self.excluded.keys() | hiding)

    def book(
        self,
        summary: RoundSummary,
        cohort: Collection[ClientId],
        *,
        failed: bool,
        colluders: int,
        index: int,
    ) -> tuple[ClientId, ...]:
        """Count the silences and marks of round ``index``, which invited ``cohort``; ``failed``:
        its binding check did.

        Returns whom all marks so far newly prove to have lied, sorted.
        """
        self._attend(summary, cohort, index)
        for mark in summary.marks:
            pair = frozenset(mark.clients)
            if mark.kind is MarkKind.PAIR and pair not in self.pairs:
                self.pairs.append(pair)
        for client in summary.withheld:
            self.withheld[client] = self.withheld.get(client, 0) + 1
        if summary.marks or failed:
            self.liability.add(
                (mark.clients for mark in summary.marks), summary.accepted if failed else ()
            )
        # A cautious round that passes lets everybody back in; else nobody would be tested again.
        self.cautious = failed
        if not summary.marks:
            return ()
        proven = self.liability.proven(colluders) - self.excluded.keys()
        self.excluded.update(dict.fromkeys(proven, index))
        return tuple(sorted(proven))

    def _attend(self, summary: RoundSummary, cohort: Collection[ClientId], index: int) -> None:
        silent = [c for c, why in summary.dropped.items() if why is DropReason.SILENT]
        self.attendance.book(
            [c for c in cohort if c not in summary.dropped] if summary.dealt else [],
            [c for c in silent if c not in summary.late],
            index,
        )
        sent = frozenset(summary.sent)
        for client in summary.uploaded if summary.groups else ():
            # whatever it said instead: a refusal keeps statistics back as well as silence does
            if client in sent or client not in summary.dropped:
                self.silences.pop(client, None)
                continue
            self.silences[client] = self.silences.get(client, 0) + 1
            if self.silences[client] >= MAX_SILENCES:
                self.silences[client] = MAX_SILENCES - 1
                self.attendance.pause(client, index)

    def readmit(self, client: ClientId) -> None:
        """The operator reinstated ``client``: it begins as everybody did."""
        self.excluded.pop(client, None)
        self.silences.pop(client, None)
        self.withheld.pop(client, None)
        self.attendance.forget(client)
        self.pairs = [pair for pair in self.pairs if client not in pair]
        self.liability.forget(client)

    def cohort(
        self,
        invitable: Collection[ClientId],
        present: Collection[ClientId],
        policy: Policy,
        index: int,
        entropy: Entropy,
    ) -> tuple[tuple[ClientId, ...], bool]:
        """Whom of the ``invitable`` (sorted) that are ``present`` round ``index`` invites, and
        whether these are the least suspected only. Who pauses comes back before a round would have
        too few."""
        here = tuple(c for c in invitable if c in present)
        paused = self.attendance.paused(index).intersection(here)
        missing = max(policy.fewest_present(False) - (len(here) - len(paused)), 0)
        still = paused.difference(self.attendance.soonest(paused)[:missing])
        candidates = self._apart(tuple(c for c in here if c not in still), policy, index)
        fewest = self._fewest_careful(policy, len(invitable))
        spent = self.disputed >= policy.budget.max_disputed
        if not self.cautious or spent or fewest >= len(candidates):
            return candidates, False
        suspicion = self.liability.suspicion
        ranked = sorted(candidates, key=lambda c: (suspicion(c), entropy(8)))
        return tuple(sorted(ranked[:fewest])), True

    def _apart(
        self, candidates: tuple[ClientId, ...], policy: Policy, index: int
    ) -> tuple[ClientId, ...]:
        """Without one end of every pair that disagreed about a mask, the one and the other in
        turn: a liar that always names the same partner would never be told from it. In the rounds
        without that partner it has to find another one, and more than c of them prove it."""
        whole = policy.fewest_present(False)
        margin = math.ceil(policy.params.dropouts * whole)
        left = set(candidates)
        for pair in self.pairs:
            if pair <= left and len(left) > whole + margin:
                left.remove(sorted(pair)[index % 2])
        return tuple(client for client in candidates if client in left)

    @staticmethod
    def _fewest_careful(policy: Policy, invitable: int) -> int:
        """How many train alone after a failed check, those on whom the least was marked, while the
        liars are being found: as few as the floor of a disputed round, and its dropouts, allow."""
        floor, whole = policy.fewest_present(True), policy.fewest_present(False)
        fewest = min(whole, floor + math.ceil(policy.params.dropouts * floor))
        return max(fewest, 2 * policy.params.group_size, (invitable + 1) // 2)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "excluded": {str(client): index for client, index in self.excluded.items()},
            "silences": {str(client): count for client, count in self.silences.items()},
            "attendance": self.attendance.to_dict(),
            "withheld": {str(client): count for client, count in self.withheld.items()},
            "pairs": [sorted(int(client) for client in pair) for pair in self.pairs],
            "liability": self.liability.to_dict(),
            "cautious": self.cautious,
            "disputed": self.disputed,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Conduct:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            excluded=_by_client(raw["excluded"]),
            silences=_by_client(raw["silences"]),
            attendance=Attendance.from_dict(raw["attendance"]),
            withheld=_by_client(raw["withheld"]),
            pairs=[frozenset(ClientId(int(c)) for c in pair) for pair in raw["pairs"]],
            liability=Liability.from_dict(raw["liability"]),
            cautious=bool(raw["cautious"]),
            disputed=int(raw["disputed"]),
        )


def _by_client(raw: Mapping[str, Any]) -> dict[ClientId, int]:
    return {ClientId(int(client)): int(value) for client, value in raw.items()}
