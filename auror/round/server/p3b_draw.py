"""Phase 3b, the server: restore every r, draw groups and challenge (docs/protocol.md 3.8–3.10)."""

from __future__ import annotations

from auror.ids import ClientId
from auror.round.messages import RandomnessList, RandomnessShares
from auror.round.public import draw_groups, view_digest
from auror.round.server.context import RoundContext
from auror.round.server.p1b_receipts import check_given
from auror.secagg.instance import SecretKind


def take_shares(context: RoundContext, sender: ClientId, message: RandomnessShares) -> None:
    """Step 3.8. Raises PeerMisbehaved when shares are not the asked or the committed ones, or one
    is missing that its receipt says it has."""
    given = frozenset(message.shares)
    check_given(context, sender, frozenset(context.progress.dealt), given)
    context.collector.add(sender, SecretKind.RANDOMNESS, message.shares)


def close(context: RoundContext) -> RandomnessList:
    """Steps 3.9–3.10: all r of U2 are known, of absentees too, so withholding one buys nothing.

    Raises:
        RoundAborted: too few shares of an r, or a dealer that shared another than it committed to.
    """
    progress = context.progress
    randomness = {
        dealer: context.collector.restore(dealer, SecretKind.RANDOMNESS).reveal()
        for dealer in progress.dealt
    }
    uploaded = tuple(progress.digests)
    progress.public_seed = context.public_seed(context.transcript, uploaded, randomness)
    progress.groups = draw_groups(progress.public_seed, uploaded, context.params.group_size)
    progress.plan = context.plan.with_challenge(progress.public_seed, context.params.challenge_rows)
    progress.view = view_digest(
        progress.uploads, randomness, progress.groups, progress.plan.digest()
    )
    return RandomnessList(randomness)
