"""Phase 1b, the server: who can read whose envelopes, and so U2 (docs/protocol.md 1.9–1.10).

A dealer whose envelopes nobody can read would end every round when its secrets are restored. So
holders say at once what they cannot read, and sign it: what they withhold later, without having
named its dealer here, they withhold against their own word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.round.messages import DealerList, Receipt
from auror.round.public import receipt_parts
from auror.round.record import Mark, MarkKind
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p0_advertise import WithKeys

Unreadable = Mapping[ClientId, frozenset[ClientId]]
"""By holder: the dealers whose envelopes it cannot read, by its signed receipt."""


@dataclass(frozen=True)
class Receipting(WithKeys):
    """Envelopes are delivered, receipts come in."""

    phase: ClassVar[Phase] = Phase.RECEIPTS
    offered: tuple[ClientId, ...]
    """Who dealt, before the receipts."""
    unreadable: dict[ClientId, frozenset[ClientId]] = field(default_factory=dict)


@dataclass(frozen=True)
class Dealers:
    """U2, final, and what its receipts say."""

    dealt: tuple[ClientId, ...]
    unreadable: Unreadable

    @cached_property
    def everybody(self) -> frozenset[ClientId]:
        """U2 as a set."""
        return frozenset(self.dealt)


@dataclass(frozen=True)
class WithDealers(WithKeys):
    """Every state from phase 2 on."""

    dealers: Dealers


def take_receipt(
    context: RoundContext, state: Receipting, sender: ClientId, message: Receipt
) -> None:
    """Step 1.9.

    Raises:
        PeerMisbehaved: not signed; names others than its dealers; or names more than c: at most c
            can have dealt badly, so such a receipt is a lie.
    """
    named, neighbours = set(message.unreadable), state.wired.graph.neighbours[sender]
    if named and not named <= set(neighbours).intersection(state.offered):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "names no dealers of its")
    parts = receipt_parts(context.transcript, state.offered, message.unreadable)
    context.require_signed(sender, message.signature, "receipt", Tag.RECEIPT, *parts)
    if len(message.unreadable) > context.params.colluders:
        raise PeerMisbehaved(sender, DropReason.FALSE_RECEIPT, f"{len(message.unreadable)} names")
    state.unreadable[sender] = frozenset(message.unreadable)


def faulty(
    context: RoundContext, state: Receipting, gone: AbstractSet[ClientId]
) -> list[PeerMisbehaved]:
    """Step 1.10: whom to drop next; asked again after every drop, for who goes may have held shares
    of others. Proofs come first."""
    return _proven(context, state, gone) or _unrecoverable(context, state, gone)


def _proven(
    context: RoundContext, state: Receipting, gone: AbstractSet[ClientId]
) -> list[PeerMisbehaved]:
    """Step 1.10a: dealers whom more than c holders name: an honest one among these cannot read."""
    return [
        PeerMisbehaved(dealer, DropReason.BAD_DEALING, f"named by {len(names)}")
        for dealer, names in _named(state).items()
        if len(names) > context.params.colluders and dealer not in gone
    ]


def _unrecoverable(
    context: RoundContext, state: Receipting, gone: AbstractSet[ClientId]
) -> list[PeerMisbehaved]:
    """Step 1.10b: dealers whom fewer than t of those who are here can read. It proves nothing: up
    to c of who names them may lie, and others are only silent."""
    present = _present(state, gone)
    readers = {
        dealer: 1
        + sum(
            dealer not in state.unreadable[holder]
            for holder in state.wired.graph.among(dealer, present)
        )
        for dealer in sorted(present)
    }
    return [
        PeerMisbehaved(dealer, DropReason.UNREADABLE, f"{count} of {context.topology.shares}")
        for dealer, count in readers.items()
        if count < context.topology.shares
    ]


def disputed(state: Receipting, marks: Iterable[Mark]) -> list[Mark]:
    """Step 1.10: a pair of a holder and a dealer whom it names holds a liar; ``marks``: so far."""
    known = {mark.clients for mark in marks}
    found: list[Mark] = []
    for dealer, holders in _named(state).items():
        if (dealer,) not in known:
            found += [
                Mark(MarkKind.RECEIPT, (min(holder, dealer), max(holder, dealer)))
                for holder in sorted(holders)
            ]
    return found


def close(
    context: RoundContext, state: Receipting, gone: AbstractSet[ClientId]
) -> tuple[Dealers, DealerList]:
    """Step 1.10: U2 is fixed. Raises RoundAborted when it is too small."""
    dealt = tuple(sorted(_present(state, gone)))
    context.require_present(len(dealt), AbortReason.TOO_FEW_DEALT)
    return Dealers(dealt, state.unreadable), DealerList(dealt)


def check_given(
    state: WithDealers, sender: ClientId, asked: frozenset[ClientId], given: AbstractSet[ClientId]
) -> None:
    """Whether ``sender`` opened a share of everybody ``asked`` whose envelope it has receipted.

    Raises:
        PeerMisbehaved: it withheld one against its own receipt, or opened others.
    """
    named = state.dealers.unreadable.get(sender, frozenset())
    held = asked.intersection((*state.wired.graph.neighbours[sender], sender))
    if not given <= held:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares that were not asked for")
    withheld = held - named - given
    if withheld:
        raise PeerMisbehaved(sender, DropReason.FALSE_RECEIPT, f"no share of {min(withheld)}")


def _present(state: Receipting, gone: AbstractSet[ClientId]) -> frozenset[ClientId]:
    """Who dealt, has sent a receipt and is still here."""
    return frozenset(state.unreadable.keys() - gone) & set(state.offered)


def _named(state: Receipting) -> dict[ClientId, list[ClientId]]:
    """By dealer: who cannot read its envelope."""
    found: dict[ClientId, list[ClientId]] = {}
    for holder, names in state.unreadable.items():
        for dealer in names:
            found.setdefault(dealer, []).append(holder)
    return dict(sorted(found.items()))
