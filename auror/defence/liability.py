"""Who must have broken the protocol, from marks that each hold at least one liar.

A mark is a set of clients of whom at least one lied (``auror.round.record.Mark``). With at most c
liars, the liars are a hitting set of all marks with at most c members; a client that stands in
every such set has been proven to be one of them. Nothing here is a guess, so an honest client
is never named, as long as c is right.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId

_SEEN_BEFORE = 2
"""Checked rounds without a mark that everybody begins with."""
_SEARCH_NODES = 20_000
"""Branch-and-bound nodes per question: a second or two for 30 clients, seldom reached."""


@dataclass
class Liability:
    """All marks of a run, and in how many checked rounds each client took part."""

    marks: list[frozenset[ClientId]] = field(default_factory=list)
    checked: dict[ClientId, int] = field(default_factory=dict)
    """Rounds whose failed check was localised with this client in the accepted set."""

    def add(self, marks: Iterable[Iterable[ClientId]], accepted: Iterable[ClientId] = ()) -> None:
        """Book what one round proved; ``accepted`` were in its failed total.

        Of a pair nothing new is learned the second time.
        """
        known = set(self.marks)
        self.marks += [mark for mark in map(frozenset, marks) if len(mark) > 2 or mark not in known]
        for client in accepted:
            self.checked[client] = self.checked.get(client, 0) + 1

    def forget(self, client: ClientId) -> None:
        """What was marked on ``client`` counts no more, for it or against others."""
        self.marks = [mark for mark in self.marks if client not in mark]
        self.checked.pop(client, None)

    def proven(self, colluders: int) -> frozenset[ClientId]:
        """Clients in every hitting set of at most ``colluders`` members.

        Without an assumption those that are marked alone; only those, too, when no set of so few
        explains the marks: then c was assumed too small, and nothing follows.
        """
        alone = frozenset(client for mark in self.marks if len(mark) == 1 for client in mark)
        explained = _hitting_set(self.marks, colluders)
        if explained is None:
            return alone
        # who is missing from this one is missing from some hitting set
        return alone | {
            client
            for client in explained - alone
            if _hitting_set([mark - {client} for mark in self.marks], colluders) is None
        }

    def suspicion(self, client: ClientId) -> float:
        """Mean weight of the marks on ``client`` per checked round, 1/|mark| each; 0: none.

        A guide for whom to leave out for a while; it proves nothing. A few rounds more are counted
        as checked than were: else one mark on whoever is left out from then on would weigh as much
        as a mark in every round on those who stay, and the same clients would be left out for ever.
        """
        weight = sum(1.0 / len(mark) for mark in self.marks if client in mark)
        return weight / (_SEEN_BEFORE + self.checked.get(client, 0))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "marks": [sorted(int(client) for client in mark) for mark in self.marks],
            "checked": {str(client): count for client, count in self.checked.items()},
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Liability:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(
            [frozenset(ClientId(int(c)) for c in mark) for mark in raw["marks"]],
            {ClientId(int(c)): int(count) for c, count in raw["checked"].items()},
        )


def _hitting_set(marks: Sequence[frozenset[ClientId]], most: int) -> frozenset[ClientId] | None:
    """A set of at most ``most`` clients that meets every mark; None when there is none.

    A search that is cut off counts as "there is one": then a proof is missed, never invented.
    """
    rows = sorted(set(marks), key=sorted)
    quick = _greedy(rows)
    if quick is None or len(quick) <= most:
        return quick
    # imported here: few runs come to ask this, and every start of a server would wait for it
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415

    clients = sorted(set().union(*rows))
    column = {client: k for k, client in enumerate(clients)}
    incidence: NDArray[np.float64] = np.zeros((len(rows), len(clients)))
    for k, mark in enumerate(rows):
        incidence[k, [column[client] for client in mark]] = 1.0
    found = milp(
        np.ones(len(clients)),
        constraints=LinearConstraint(incidence, lb=1.0),
        integrality=np.ones(len(clients), dtype=np.int64),
        bounds=Bounds(0, 1),
        options={"node_limit": _SEARCH_NODES},
    )
    if found.mip_dual_bound is None or math.ceil(found.mip_dual_bound - 1e-6) > most:
        return None
    chosen = quick if found.x is None else {c for c in clients if found.x[column[c]] > 0.5}
    return frozenset(chosen)


def _greedy(marks: Sequence[frozenset[ClientId]]) -> frozenset[ClientId] | None:
    """Some set that meets every mark, whoever meets most of the rest first; None: an empty mark."""
    left, chosen = list(marks), set[ClientId]()
    while left:
        counts = Counter(client for mark in left for client in mark)
        if not all(left):
            return None
        best = min(counts, key=lambda client: (-counts[client], client))
        chosen.add(best)
        left = [mark for mark in left if best not in mark]
    return frozenset(chosen)
