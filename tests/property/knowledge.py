"""What a server, with some colluding clients, can derive in a round: linear algebra over symbols.

Every plain input and every mask stream is a formal variable. The server's knowledge is a set of
linear combinations of them: masked inputs as they arrive, and each mask whose secret it can restore
from the shares that it or a colluder holds. What it can *derive about inputs* is the part of their
span that contains no mask. Streams of different keys count as independent: the PRG's promise.

Masks of statistics are bound to a view h: two clients that saw different views share no mask. Only
a colluding end knows them; no shares of their keys exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from auror.ids import ClientId
from auror.round.messages import (
    ClientMessage,
    Consistency,
    CrossMasks,
    MaskedStatistics,
    RandomnessShares,
    UpdateShares,
    Upload,
)
from auror.round.server.context import RoundContext
from auror.round.server.machine import RoundServer
from auror.round.server.p0_advertise import WithKeys
from auror.round.server.p3b_draw import WithDraw
from auror.secagg.graph import Graph
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
    consistent: set[ClientId] = field(default_factory=set)
    """Who has signed U3."""
    server: RoundServer = field(init=False, repr=False)
    """Where the round is; what is overheard need not have reached it."""

    def hear(self, sender: ClientId, message: ClientMessage) -> None:
        """One message on its way to the server."""
        match message:
            case Consistency():
                self.consistent.add(sender)
            case Upload():
                self.uploaded.add(sender)
            case MaskedStatistics(payload) if payload:
                self.sent.add(sender)
            case RandomnessShares(contributions):
                self._shares(sender, SecretKind.RANDOMNESS, contributions)
            case UpdateShares(shares):
                self._shares(sender, SecretKind.SELF_SEED, shares.self_seeds)
                self._shares(sender, SecretKind.MASK_KEY, shares.mask_keys)
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
        shown = self.holders.get((owner, kind), set())
        theirs = self.dealt_to(owner) & self.colluders
        return len(theirs | shown) >= self.context.topology.shares

    @property
    def graph(self) -> Graph:
        """Who holds whose shares, and shares masks with whom."""
        return cast(WithKeys, self.server.state).wired.graph

    def dealt_to(self, owner: ClientId) -> frozenset[ClientId]:
        """Who holds shares of its secrets."""
        dealt = frozenset(self.server.summary.dealt)
        return frozenset(self.graph.holders(owner, dealt) if dealt else ())

    def about_updates(self) -> list[Vector]:
        """Combinations of plain updates that they can derive."""
        return without_masks(self.updates_rows())

    def about_statistics(self) -> list[Vector]:
        """Combinations of plain statistics: uploads count through P as well."""
        return without_masks([*self.updates_rows(), *self.statistics_rows(), *self.image_rows()])

    def allowed(self, sums: Iterable[Iterable[ClientId]]) -> list[Vector]:
        """``sums`` over clients, and what colluders put in themselves."""
        rows: list[Vector] = [{("input", client): 1 for client in clients} for clients in sums]
        return rows + [{("input", client): 1} for client in sorted(self.colluders)]

    def updates_rows(self) -> list[Vector]:
        """Masked uploads, and the update masks that they can restore."""
        rows = [masked_update(c, self.masked_against(c)) for c in sorted(self.uploaded)]
        return [*rows, *self._known_masks(rows)]

    def statistics_rows(self) -> list[Vector]:
        """Masked statistics, and the masks of which a colluder is an end."""
        rows = [
            masked_statistics(c, group, view)
            for c in sorted(self.sent)
            for group, view in [self.company(c)]
        ]
        return [*rows, *masks_of(self.colluders, rows)]

    def image_rows(self) -> list[Vector]:
        """Images of update masks, opened in phase 7."""
        return [{("mask", "x", *sorted(pair)): 1} for pair in self.images]

    def masked_against(self, client: ClientId) -> Iterable[ClientId]:
        """Whose update masks are on the client's upload."""
        return self.graph.among(client, frozenset(self.server.summary.dealt))

    def company(self, client: ClientId) -> tuple[tuple[ClientId, ...], bytes]:
        """The group the client masked its statistics in, and under which h."""
        draw = cast(WithDraw, self.server.state).draw
        (group,) = (group for group in draw.groups if client in group)
        return group, draw.view

    def _known_masks(self, uploads: list[Vector]) -> list[Vector]:
        cohort = self.context.description.cohort
        rows: list[Vector] = [
            {("self", "x", c): 1} for c in cohort if self.knows(c, SecretKind.SELF_SEED)
        ]
        keys = frozenset(c for c in cohort if self.knows(c, SecretKind.MASK_KEY))
        return rows + masks_of(keys, uploads)


def masked_update(client: ClientId, peers: Iterable[ClientId]) -> Vector:
    """An upload: self mask, and a pairwise mask with each of ``peers``."""
    return {("input", client): 1, ("self", "x", client): 1, **_pairwise(client, peers, "x")}


def masked_statistics(client: ClientId, group: Iterable[ClientId], view: bytes) -> Vector:
    """Statistics: a pairwise mask under ``view`` with everybody else of ``group``, nothing more."""
    return {("input", client): 1, **_pairwise(client, group, "u", view)}


def _pairwise(client: ClientId, peers: Iterable[ClientId], *name: object) -> Vector:
    return {
        ("mask", *name, *sorted((client, peer))): 1 if client < peer else FIELD - 1
        for peer in peers
        if peer != client
    }


def masks_of(ends: frozenset[ClientId], rows: Iterable[Vector]) -> list[Vector]:
    """Every pairwise mask in ``rows`` of which one of ``ends`` is an end."""
    names = {name for row in rows for name in row if name[0] == "mask" and ends & set(name[-2:])}
    return [{name: 1} for name in sorted(names, key=repr)]


def together(derived: Iterable[Vector], clients: Iterable[ClientId]) -> bool:
    """Whether all ``clients`` stand with one and the same weight in everything ``derived``."""
    return all(len({row.get(("input", c), 0) for c in clients}) <= 1 for row in derived)


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
