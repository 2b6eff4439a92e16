"""Phase 6, the server: open the accepted total and bind it (docs/protocol.md steps 6.3–6.5)."""

from __future__ import annotations

from auror.crypto.entropy import Secret
from auror.ids import ClientId
from auror.round.binding import check_binding
from auror.round.messages import UpdateShares
from auror.round.server.context import RoundContext, RoundTotal
from auror.round.server.p1b_receipts import check_given
from auror.round.server.p4_statistics import full_plan
from auror.secagg.instance import SecretKind
from auror.secagg.server.unmask import unmask_sum


def take_shares(context: RoundContext, sender: ClientId, message: UpdateShares) -> None:
    """Step 6.3. Raises PeerMisbehaved when shares are not the asked or the committed ones, or one
    is missing that its receipt says it has."""
    accepted = frozenset(context.progress.accepted)
    absent = frozenset(context.progress.dealt) - accepted
    shares = message.shares
    check_given(context, sender, accepted, frozenset(shares.self_seeds))
    check_given(context, sender, absent, frozenset(shares.mask_keys))
    context.collector.add(sender, SecretKind.SELF_SEED, shares.self_seeds)
    context.collector.add(sender, SecretKind.MASK_KEY, shares.mask_keys)


def restored_secrets(
    context: RoundContext,
) -> tuple[dict[ClientId, Secret], dict[ClientId, Secret]]:
    """The self-mask seeds of A and the mask keys of U2 \\ A. Raises RoundAborted."""
    progress, collector = context.progress, context.collector
    accepted = set(progress.accepted)
    seeds = {c: collector.restore(c, SecretKind.SELF_SEED) for c in progress.accepted}
    absent = [c for c in progress.dealt if c not in accepted]
    return seeds, {c: collector.restore(c, SecretKind.MASK_KEY) for c in absent}


def close(context: RoundContext) -> RoundTotal:
    """Steps 6.4–6.5.

    To this sum, a client that was left out is exactly a dropout: its mask key is restored, its
    self-mask seed never.

    Raises:
        RoundAborted: too few shares, a bad dealing, or the binding check failed.
    """
    progress = context.progress
    sum_context = context.update_context()
    accepted = progress.accepted
    seeds, absent = restored_secrets(context)
    total = unmask_sum(
        sum_context,
        context.graph,
        (
            sum_context.ring.from_bytes(context.uploads[client], sum_context.length)
            for client in accepted
        ),
        seeds,
        absent,
        {client: keys.update_mask for client, keys in progress.keys.items()},
    )
    progress.total_opened = True
    chosen = set(progress.accepted_groups)
    lifted = check_binding(
        full_plan(context), total, [group for group in progress.opened if group.index in chosen]
    )
    return RoundTotal(lifted, accepted)
