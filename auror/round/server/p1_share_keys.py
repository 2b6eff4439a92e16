"""Phase 1, the server: collect sealed shares and pass them on (docs/protocol.md 1.5–1.6)."""

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
from auror.round.messages import SHARED_KINDS, DealtShares, Envelope, ShareDelivery
from auror.round.server.context import RoundContext
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Dealing


def take_dealing(context: RoundContext, sender: ClientId, dealt: DealtShares) -> None:
    """Step 1.5: the right holders, the r committed to in phase 0, and the dealer's signature.

    Raises:
        PeerMisbehaved: anything of that is missing.
    """
    advertised = frozenset(context.progress.keys)
    holders = context.graph.holders(sender, advertised)
    rows = dealt.share_commitments
    if (
        tuple(sorted(rows)) != holders
        or dealt.ciphertexts.keys() != set(holders) - {sender}
        or any(len(row) != len(SHARED_KINDS) for row in rows.values())
        or len(dealt.secret_commitments) != len(SHARED_KINDS)
    ):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares are not for its neighbours")
    committed = dealt.secret_commitments[SHARED_KINDS.index(SecretKind.RANDOMNESS)]
    if committed != context.progress.keys[sender].randomness:
        raise PeerMisbehaved(sender, DropReason.BAD_COMMITMENT, "another r than in phase 0")
    signed = Dealing(dealt.ciphertexts, rows, dealt.secret_commitments).signed_parts()
    try:
        verify(
            context.policy.verify_key(sender),
            dealt.signature,
            Tag.DEALING,
            context.transcript,
            *signed,
        )
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.BAD_SIGNATURE, "dealing") from error
    context.collector.expect(sender, rows, dealt.secret_commitments)


def close(
    context: RoundContext, dealings: dict[ClientId, DealtShares]
) -> dict[ClientId, ShareDelivery]:
    """Step 1.6: every dealer gets the envelopes addressed to it."""
    dealt = tuple(sorted(dealings))
    fewest = context.floors.present
    if len(dealt) < fewest:
        raise RoundAborted(AbortReason.TOO_FEW_DEALT, f"{len(dealt)} of {fewest}")
    context.progress.offered = dealt
    present = frozenset(dealt)
    return {
        holder: ShareDelivery(
            dealt,
            {
                dealer: Envelope(
                    dealings[dealer].ciphertexts[holder],
                    dealings[dealer].share_commitments[holder],
                )
                for dealer in context.graph.among(holder, present)
            },
        )
        for holder in dealt
    }
