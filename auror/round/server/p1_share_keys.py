"""Phase 1, the server: collect sealed shares and pass them on (docs/protocol.md 1.5–1.6)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.round.messages import SHARED_KINDS, DealtShares, Envelope, ShareDelivery
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p0_advertise import WithKeys
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Dealing


@dataclass(frozen=True)
class Sharing(WithKeys):
    """U1 is fixed, its clients deal."""

    phase: ClassVar[Phase] = Phase.SHARE_KEYS
    dealings: dict[ClientId, DealtShares] = field(default_factory=dict)


def take_dealing(
    context: RoundContext, state: Sharing, sender: ClientId, dealt: DealtShares
) -> None:
    """Step 1.5: the right holders, the r committed to in phase 0, and the dealer's signature.

    Raises:
        PeerMisbehaved: anything of that is missing.
    """
    advertised = state.wired.keys
    holders = state.wired.graph.holders(sender, state.wired.everybody)
    rows = dealt.share_commitments
    if (
        tuple(sorted(rows)) != holders
        or dealt.ciphertexts.keys() != set(holders) - {sender}
        or any(len(row) != len(SHARED_KINDS) for row in rows.values())
        or len(dealt.secret_commitments) != len(SHARED_KINDS)
    ):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares are not for its neighbours")
    committed = dealt.secret_commitments[SHARED_KINDS.index(SecretKind.RANDOMNESS)]
    if committed != advertised[sender].randomness:
        raise PeerMisbehaved(sender, DropReason.BAD_COMMITMENT, "another r than in phase 0")
    dealing = Dealing(dealt.ciphertexts, rows, dealt.secret_commitments)
    parts = context.transcript, *dealing.signed_parts()
    context.require_signed(sender, dealt.signature, "dealing", Tag.DEALING, *parts)
    context.collector.expect(sender, rows, dealt.secret_commitments)
    state.dealings[sender] = dealt


def close(
    context: RoundContext, state: Sharing, gone: AbstractSet[ClientId]
) -> tuple[tuple[ClientId, ...], dict[ClientId, ShareDelivery]]:
    """Step 1.6: every dealer that is not ``gone`` gets the envelopes addressed to it.

    Returns the dealers, sorted, and their deliveries. Raises RoundAborted when they are too few.
    """
    dealt = tuple(sorted(state.dealings.keys() - gone))
    context.require_present(len(dealt), AbortReason.TOO_FEW_DEALT)
    present = frozenset(dealt)
    envelopes: dict[ClientId, dict[ClientId, Envelope]] = {holder: {} for holder in dealt}
    for dealer in dealt:
        dealing = state.dealings[dealer]
        for holder in present.intersection(dealing.ciphertexts):
            row = dealing.share_commitments[holder]
            envelopes[holder][dealer] = Envelope(dealing.ciphertexts[holder], row)
    return dealt, {holder: ShareDelivery(dealt, envelopes[holder]) for holder in dealt}
