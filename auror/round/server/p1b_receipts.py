"""Phase 1b, the server: who can read whose envelopes, and so U2 (docs/protocol.md 1.9–1.10).

A dealer whose envelopes nobody can read would end every round when its secrets are restored. So
holders say at once what they cannot read, and sign it: what they withhold later, without having
named its dealer here, they withhold against their own word.
"""

from __future__ import annotations

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import (
    AbortReason,
    AuthenticationFailed,
    DropReason,
    PeerMisbehaved,
    RoundAborted,
)
from auror.ids import ClientId
from auror.round.messages import DealerList, Receipt
from auror.round.public import receipt_parts
from auror.round.record import Mark, MarkKind
from auror.round.server.context import RoundContext


def take_receipt(context: RoundContext, sender: ClientId, message: Receipt) -> None:
    """Step 1.9.

    Raises:
        PeerMisbehaved: not signed; names others than its dealers; or names more than c: at most c
            can have dealt badly, so such a receipt is a lie.
    """
    progress = context.progress
    dealers = context.graph.among(sender, frozenset(progress.offered))
    if not set(message.unreadable) <= set(dealers):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "names no dealers of its")
    parts = receipt_parts(context.transcript, progress.offered, message.unreadable)
    try:
        verify(context.policy.verify_key(sender), message.signature, Tag.RECEIPT, *parts)
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "receipt") from error
    if len(message.unreadable) > context.params.colluders:
        raise PeerMisbehaved(sender, DropReason.FALSE_RECEIPT, f"{len(message.unreadable)} names")
    progress.unreadable[sender] = frozenset(message.unreadable)


def proven(context: RoundContext) -> list[PeerMisbehaved]:
    """Step 1.10a: dealers whom more than c holders name: an honest one among these cannot read."""
    return [
        PeerMisbehaved(dealer, DropReason.BAD_DEALING, f"named by {len(names)}")
        for dealer, names in _named(context).items()
        if len(names) > context.params.colluders and dealer not in context.progress.dropped
    ]


def unrecoverable(context: RoundContext) -> list[PeerMisbehaved]:
    """Step 1.10b: dealers whom fewer than t of those who are here can read. It proves nothing: up
    to c of who names them may lie, and others are only silent."""
    present = _present(context)
    readers = {
        dealer: 1
        + sum(
            dealer not in context.progress.unreadable[holder]
            for holder in context.graph.among(dealer, present)
        )
        for dealer in sorted(present)
    }
    return [
        PeerMisbehaved(dealer, DropReason.UNREADABLE, f"{count} of {context.topology.shares}")
        for dealer, count in readers.items()
        if count < context.topology.shares
    ]


def close(context: RoundContext) -> DealerList:
    """Step 1.10: U2 is fixed. A pair of a holder and a dealer whom it names holds a liar.

    Raises:
        RoundAborted: too few dealers are left.
    """
    progress = context.progress
    known = {mark.clients for mark in progress.marks}
    for dealer, holders in _named(context).items():
        if (dealer,) not in known:
            progress.marks += [
                Mark(MarkKind.RECEIPT, (min(holder, dealer), max(holder, dealer)))
                for holder in sorted(holders)
            ]
    progress.dealt = tuple(sorted(_present(context)))
    fewest = context.floors.present
    if len(progress.dealt) < fewest:
        raise RoundAborted(AbortReason.TOO_FEW_DEALT, f"{len(progress.dealt)} of {fewest}")
    progress.uploading = True
    return DealerList(progress.dealt)


def check_given(
    context: RoundContext, sender: ClientId, asked: frozenset[ClientId], given: frozenset[ClientId]
) -> None:
    """Whether ``sender`` opened a share of everybody ``asked`` whose envelope it has receipted.

    Raises:
        PeerMisbehaved: it withheld one against its own receipt, or opened others.
    """
    named = context.progress.unreadable.get(sender, frozenset())
    held = frozenset(context.graph.holders(sender, asked | {sender})) & asked
    if not given <= held:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares that were not asked for")
    withheld = held - named - given
    if withheld:
        raise PeerMisbehaved(sender, DropReason.FALSE_RECEIPT, f"no share of {min(withheld)}")


def _present(context: RoundContext) -> frozenset[ClientId]:
    """Who dealt, has sent a receipt and is still here."""
    gone = context.progress.dropped.keys()
    return frozenset(context.progress.unreadable.keys() - gone) & set(context.progress.offered)


def _named(context: RoundContext) -> dict[ClientId, list[ClientId]]:
    """By dealer: who cannot read its envelope."""
    found: dict[ClientId, list[ClientId]] = {}
    for holder, names in context.progress.unreadable.items():
        for dealer in names:
            found.setdefault(dealer, []).append(holder)
    return dict(sorted(found.items()))
