"""Phase 4, the server: open group sums, and nothing else (docs/protocol.md steps 4.4–4.5)."""

from __future__ import annotations

from auror.errors import AbortReason, DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId
from auror.round.messages import StatisticsShares
from auror.round.record import OpenedGroup
from auror.round.server.context import RoundContext
from auror.round.server.statistics import full_plan
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, SecretKind
from auror.secagg.server.unmask import unmask_sum


def take_shares(context: RoundContext, sender: ClientId, message: StatisticsShares) -> None:
    """Step 4.4. Raises PeerMisbehaved when shares are not the asked or the committed ones."""
    groups = context.open_groups()
    summed = {client for members in groups.values() for client in members}
    absent = {client for k in groups for client in _absent(context, context.progress.groups[k])}
    shares = message.shares
    if not (shares.self_seeds.keys() <= summed and shares.mask_keys.keys() <= absent):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "shares that were not asked for")
    context.collector.add(sender, SecretKind.STATISTICS_SELF_SEED, shares.self_seeds)
    context.collector.add(sender, SecretKind.STATISTICS_MASK_KEY, shares.mask_keys)


def close(context: RoundContext) -> tuple[OpenedGroup, ...]:
    """Step 4.5: the sums of all groups for which enough shares came.

    Raises:
        RoundAborted: fewer than ``min_accepted_groups`` could be opened.
    """
    progress, collector = context.progress, context.collector
    plan = full_plan(context)
    sum_context = context.sum_context(Instance.STATISTICS, plan.rows)
    mask_keys = {client: keys.statistics_mask for client, keys in progress.keys.items()}
    opened = []
    for index, members in context.open_groups().items():
        absent = _absent(context, progress.groups[index])
        if not all(
            collector.enough(client, SecretKind.STATISTICS_SELF_SEED) for client in members
        ) or not all(collector.enough(client, SecretKind.STATISTICS_MASK_KEY) for client in absent):
            continue  # some holders' own floors are higher than the configuration's
        total = unmask_sum(
            sum_context,
            Graph.complete(progress.groups[index]),
            (
                sum_context.ring.from_bytes(progress.statistics[client], plan.rows)
                for client in members
            ),
            {c: collector.restore(c, SecretKind.STATISTICS_SELF_SEED) for c in members},
            {c: collector.restore(c, SecretKind.STATISTICS_MASK_KEY) for c in absent},
            mask_keys,
        )
        opened.append(OpenedGroup(index, members, total))
    if len(opened) < context.params.min_accepted_groups:
        raise RoundAborted(AbortReason.TOO_FEW_SHARES, f"{len(opened)} group(s) opened")
    progress.opened = tuple(opened)
    return progress.opened


def _absent(context: RoundContext, group: tuple[ClientId, ...]) -> tuple[ClientId, ...]:
    """Members that uploaded, so were masked against, but sent no statistics."""
    progress = context.progress
    return tuple(c for c in group if c in progress.digests and c not in progress.signatures)
