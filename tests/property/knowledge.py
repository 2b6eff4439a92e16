"""What a server, with some colluding clients, can derive in a round: linear algebra over symbols.

Every plain input and every mask stream is a formal variable. The server's knowledge is a set of
linear combinations of them: masked inputs as they arrive, and each mask whose secret it can restore
from the shares that it or a colluder holds. What it can *derive about inputs* is the part of their
span that contains no mask. Streams of different keys count as independent: the PRG's promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from auror.ids import ClientId
from auror.round.messages import (
    ClientMessage,
    CrossMasks,
    MaskedStatistics,
    StatisticsShares,
    UpdateShares,
    Upload,
)
from auror.round.server.context import RoundContext
from auror.secagg.instance import SecretKind

FIELD = 2**61 - 1
"""A prime: ranks over it are those over the integers but for chance 2^-50."""

Name = tuple[object, ...]
Vector = dict[Name, int]


@dataclass
class Observer:
    """The server and ``colluders``, honest but curious: what they have heard so far."""

    context: RoundContext
    colluders: frozenset[ClientId]
    holders: dict[tuple[ClientId, SecretKind], set[ClientId]] = field(default_factory=dict)
    uploaded: set[ClientId] = field(default_factory=set)
    sent: set[ClientId] = field(default_factory=set)
    images: set[frozenset[ClientId]] = field(default_factory=set)

    def hear(self, sender: ClientId, message: ClientMessage) -> None:
        """One message on its way to the server."""
        match message:
            case Upload():
                self.uploaded.add(sender)
            case MaskedStatistics(payload) if payload:
                self.sent.add(sender)
            case StatisticsShares(shares):
                self._shares(sender, SecretKind.STATISTICS_SELF_SEED, shares.self_seeds)
                self._shares(sender, SecretKind.STATISTICS_MASK_KEY, shares.mask_keys)
            case UpdateShares(shares):
                self._shares(sender, SecretKind.UPDATE_SELF_SEED, shares.self_seeds)
                self._shares(sender, SecretKind.UPDATE_MASK_KEY, shares.mask_keys)
            case CrossMasks(images):
                self.images |= {frozenset((sender, peer)) for peer in images}
            case _:
                pass

    def _shares(self, holder: ClientId, kind: SecretKind, of: Iterable[ClientId]) -> None:
        for owner in of:
            self.holders.setdefault((owner, kind), set()).add(holder)

    def knows(self, owner: ClientId, kind: SecretKind) -> bool:
        """Its owner colludes, or t shares of it are in their hands."""
        if owner in self.colluders:
            return True
        graph = self.context.graph
        dealt = frozenset(self.context.progress.dealt)
        theirs = set(graph.holders(owner, dealt)) & self.colluders if dealt else set()
        shown = self.holders.get((owner, kind), set())
        return len(theirs | shown) >= self.context.topology.shares

    def about_updates(self) -> list[Vector]:
        """Combinations of plain updates that they can derive."""
        return without_masks([*self._masked_updates(), *self._known_masks("x")])

    def about_statistics(self) -> list[Vector]:
        """Combinations of plain statistics: uploads count through P as well."""
        rows = [*self._masked_updates(), *self._known_masks("x"), *self._masked_statistics(),
                *self._known_masks("u")]  # fmt: skip
        rows += [{("mask", "x", *sorted(pair)): 1} for pair in self.images]
        return without_masks(rows)

    def allowed(self, sums: Iterable[Iterable[ClientId]]) -> list[Vector]:
        """``sums`` over clients, and what colluders put in themselves."""
        rows: list[Vector] = [{("input", client): 1 for client in clients} for clients in sums]
        return rows + [{("input", client): 1} for client in sorted(self.colluders)]

    def _masked_updates(self) -> list[Vector]:
        dealt = frozenset(self.context.progress.dealt)
        graph = self.context.graph
        return [_masked("x", c, graph.among(c, dealt)) for c in sorted(self.uploaded)]

    def _masked_statistics(self) -> list[Vector]:
        progress = self.context.progress
        up = set(progress.digests)
        rows = []
        for group in progress.groups:
            present = [c for c in group if c in up]
            rows += [
                _masked("u", c, [p for p in present if p != c]) for c in present if c in self.sent
            ]
        return rows

    def _known_masks(self, name: str) -> list[Vector]:
        seed, key = {
            "x": (SecretKind.UPDATE_SELF_SEED, SecretKind.UPDATE_MASK_KEY),
            "u": (SecretKind.STATISTICS_SELF_SEED, SecretKind.STATISTICS_MASK_KEY),
        }[name]
        cohort = self.context.description.cohort
        rows: list[Vector] = [{("self", name, c): 1} for c in cohort if self.knows(c, seed)]
        rows += [
            {("mask", name, *pair): 1}
            for pair in combinations(cohort, 2)
            if any(self.knows(end, key) for end in pair)
        ]
        return rows


def _masked(name: str, client: ClientId, peers: Iterable[ClientId]) -> Vector:
    row: Vector = {("input", client): 1, ("self", name, client): 1}
    for peer in peers:
        row[("mask", name, *sorted((client, peer)))] = 1 if client < peer else FIELD - 1
    return row


def without_masks(rows: list[Vector]) -> list[Vector]:
    """A basis of the part of the span without masks."""
    return confined(rows, lambda name: name[0] == "input")


def confined(rows: list[Vector], inside: Callable[[Name], bool]) -> list[Vector]:
    """A basis of the part of the span that names only variables ``inside``: eliminate the others
    first, keep what is left."""
    reduced = _echelon(rows, lambda name: (inside(name), repr(name)))
    return [row for row in reduced if all(inside(name) for name in row)]


def spans(basis: list[Vector], rows: list[Vector]) -> bool:
    """Whether every one of ``rows`` lies in the span of ``basis``."""
    reduced = _echelon(basis, repr)
    return len(_echelon([*reduced, *rows], repr)) == len(reduced)


def _echelon(rows: Iterable[Vector], order: Callable[[Name], Any]) -> list[Vector]:
    """Row echelon form modulo FIELD, variables in ``order``."""
    pivots: dict[Name, Vector] = {}
    for given in rows:
        row = dict(given)
        while row:
            lead = min(row, key=order)
            if lead not in pivots:
                inverse = pow(row[lead], -1, FIELD)
                pivots[lead] = {name: value * inverse % FIELD for name, value in row.items()}
                break
            factor = row[lead]
            for name, value in pivots[lead].items():
                left = (row.get(name, 0) - factor * value) % FIELD
                if left:
                    row[name] = left
                else:
                    row.pop(name, None)
    return [pivots[lead] for lead in sorted(pivots, key=order)]
