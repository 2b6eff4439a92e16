"""Phase 6, the server: open the accepted total and bind it (docs/protocol.md steps 6.3–6.5)."""

from __future__ import annotations

from auror.crypto.entropy import Secret
from auror.errors import DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.round.binding import check_binding
from auror.round.messages import UpdateShares
from auror.round.server.context import RoundContext, RoundTotal
from auror.round.server.statistics import full_plan
from auror.secagg.instance import Instance, SecretKind
from auror.secagg.server.unmask import unmask_sum


def take_shares(context: RoundContext, sender: ClientId, message: UpdateShares) -> None:
    """Step 6.3. Raises PeerMisbehaved when shares are not the asked or the committed ones."""
    accepted = set(context.progress.accepted)
    absent = set(context.progress.dealt) - accepted
    shares = message.shares
    if not (shares.self_seeds.keys() <= accepted and shares.mask_keys.keys() <= absent):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares that were not asked for")
    context.collector.add(sender, SecretKind.UPDATE_SELF_SEED, shares.self_seeds)
    context.collector.add(sender, SecretKind.UPDATE_MASK_KEY, shares.mask_keys)


def restored_secrets(
    context: RoundContext,
) -> tuple[dict[ClientId, Secret], dict[ClientId, Secret]]:
    """The self-mask seeds of A and the mask keys of U2 \\ A. Raises RoundAborted."""
    progress, collector = context.progress, context.collector
    accepted = set(progress.accepted)
    seeds = {c: collector.restore(c, SecretKind.UPDATE_SELF_SEED) for c in progress.accepted}
    absent = [c for c in progress.dealt if c not in accepted]
    return seeds, {c: collector.restore(c, SecretKind.UPDATE_MASK_KEY) for c in absent}


def close(context: RoundContext) -> RoundTotal:
    """Steps 6.4–6.5.

    To this sum, a client that was left out is exactly a dropout: its mask key is restored, its
    self-mask seed never.

    Raises:
        RoundAborted: too few shares, a bad dealing, or the binding check failed.
    """
    progress = context.progress
    sum_context = context.sum_context(Instance.UPDATE, context.plan.dim)
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
