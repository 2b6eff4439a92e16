"""Phase 1b, the client: read what others dealt, and say at once whose envelopes it cannot read.

docs/protocol.md steps 1.7–1.10. Not holding a share of somebody's secret costs liveness only, so a
dealer who lies to this client does not make it leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.p1_share_keys import Shared
from auror.round.client.state import HeldShares, Identity, RoundSecrets, WiredInvitation
from auror.round.client.told_sets import part_of
from auror.round.lists import ShownKeys
from auror.round.messages import SHARED_KINDS, DealerList, Receipt, ShareDelivery
from auror.round.public import receipt_parts, set_of
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share, receive


@dataclass(frozen=True)
class Receipted:
    """It has said whose envelopes it can read; U2 is not final yet."""

    invitation: WiredInvitation
    secrets: RoundSecrets
    keys: ShownKeys
    offered: tuple[ClientId, ...]
    held: HeldShares


def take_shares(
    identity: Identity, state: Shared, delivery: ShareDelivery
) -> tuple[Receipted, Receipt]:
    """Steps 1.7–1.8: open the envelopes; the receipt names the dealers of those that do not open.

    Raises:
        Refused: the dealers are no part of U1, lost me or are too few.
    """
    invitation, keys = state.invitation, state.keys.keys
    dealers = check_dealers(identity, invitation, state.keys.advertised, delivery.dealers)
    held: dict[ClientId, Mapping[SecretKind, Share]] = {identity.me: state.own_shares}
    unreadable = []
    for dealer in invitation.graph.among(identity.me, dealers):
        envelope = delivery.envelopes.get(dealer)
        try:
            if envelope is None:
                raise AuthenticationFailed(f"no envelope of client {dealer}")
            held[dealer] = receive(
                invitation.transcript,
                dealer,
                identity.me,
                SHARED_KINDS,
                envelope.ciphertext,
                envelope.commitments,
                state.secrets.encryption,
                keys[dealer].encryption,
            )
        except AuthenticationFailed:
            unreadable.append(dealer)
    names = tuple(sorted(unreadable))
    parts = receipt_parts(invitation.transcript, delivery.dealers, names)
    receipted = Receipted(invitation, state.secrets, state.keys, delivery.dealers, held)
    return receipted, Receipt(names, identity.signing_key.sign(Tag.RECEIPT, *parts))


def take_dealers(identity: Identity, state: Receipted, told: DealerList) -> frozenset[ClientId]:
    """Step 1.10: U2, final: some of those who dealt.

    Raises:
        Refused: U2 is no part of those, lost me or is too small.
    """
    return check_dealers(identity, state.invitation, state.offered, told.dealers)


def check_dealers(
    identity: Identity,
    invitation: WiredInvitation,
    known: tuple[ClientId, ...],
    told: tuple[ClientId, ...],
) -> frozenset[ClientId]:
    """U2 as it is told: a sorted part of ``known``, with me, large enough. Raises Refused."""
    dealers = part_of("U2", told, "U1", set_of(known))
    floor = invitation.floors.present
    if len(dealers) < floor or identity.me not in dealers:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(dealers)} dealt, floor {floor}")
    return dealers
