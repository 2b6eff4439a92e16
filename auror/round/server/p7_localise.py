"""Phase 7, the server: whose statistics do not match? (docs/protocol.md steps 7.3–7.6)

The total is a sum over groups, so a failed check says only that somebody lied. With the images of
the masks between groups opened by both ends, each group's own equation can be checked:

    P·Y_G − Σ_{i∈G, j∉G} δ_ij·P·PRG(s_ij)  =  P·Σ_{i∈G} q_i      modulo 2^m

where Y_G is the sum of the group's uploads without self masks. A lie by a multiple of 2^m is not
localised (docs/threat-model.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from auror.errors import DropReason, PeerMisbehaved
from auror.ids import ClientId, GroupIndex
from auror.round.binding import mask_image
from auror.round.messages import BindingFailed, CrossMasks
from auror.round.record import Mark, MarkKind, OpenedGroup
from auror.round.server.context import RoundContext
from auror.round.server.p4_statistics import full_plan
from auror.round.server.p6_unmask import restored_secrets
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import mask_sign
from auror.secagg.server.unmask import unmask_sum


def ask(context: RoundContext) -> dict[ClientId, BindingFailed]:
    """Step 7.1: everybody in A who is still here is asked."""
    gone = context.progress.dropped
    asked = {c: BindingFailed() for c in context.progress.accepted if c not in gone}
    context.progress.asked = frozenset(asked)
    return asked


def take_images(context: RoundContext, sender: ClientId, message: CrossMasks) -> None:
    """Step 7.3. Raises PeerMisbehaved when they are not the images of exactly the asked masks."""
    group = next(group.members for group in _accepted(context) if sender in group.members)
    ring, rows = context.update_context().ring, full_plan(context).rows
    if message.images.keys() != set(context.progress.accepted) - set(group):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "not the masks across groups")
    try:
        for image in message.images.values():
            ring.check(image, rows)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    context.progress.cross_masks[sender] = message.images


def close(context: RoundContext) -> tuple[Mark, ...]:
    """Steps 7.4–7.6: marks on pairs that disagree and on groups whose equation fails.

    A group is judged by what its own members opened: nothing that one client says marks anybody
    else's group, and silence shields nobody but the group of the silent, which is not judged.
    Groups between which a mask is disputed are checked together: their common masks cancel.

    Who keeps its masks closed in a group that no mark touches is noted as ``withheld``: a lie may
    be hidden behind it.
    """
    opened = {group.index: group.members for group in _accepted(context)}
    home = {client: index for index, members in opened.items() for client in members}
    images = context.progress.cross_masks
    disputed = _disputed(context, home)
    marks = [Mark(MarkKind.PAIR, pair) for pair in disputed]
    for merged in _merge(opened, [(home[i], home[j]) for i, j in disputed]):
        members = tuple(sorted(client for index in merged for client in opened[index]))
        if images.keys() >= set(members) and not _equation_holds(context, members):
            marks.append(Mark(MarkKind.GROUP, members))
    marked = {client for mark in marks for client in mark.clients}
    context.progress.withheld = frozenset(
        client
        for client in context.progress.asked - images.keys()
        if marked.isdisjoint(opened[home[client]])
    )
    return tuple(marks)


def _accepted(context: RoundContext) -> list[OpenedGroup]:
    chosen = set(context.progress.accepted_groups)
    return [group for group in context.progress.opened if group.index in chosen]


def _disputed(
    context: RoundContext, home: dict[ClientId, GroupIndex]
) -> list[tuple[ClientId, ClientId]]:
    """Pairs across groups whose ends opened different images."""
    images = context.progress.cross_masks
    clients = sorted(images)
    return [
        (low, high)
        for low in clients
        for high in clients
        if high > low and home[high] != home[low] and images[low][high] != images[high][low]
    ]


def _merge(
    groups: Iterable[GroupIndex], joined: Iterable[tuple[GroupIndex, GroupIndex]]
) -> list[frozenset[GroupIndex]]:
    """Connected components of the groups."""
    component = {index: frozenset({index}) for index in groups}
    for one, other in joined:
        union = component[one] | component[other]
        component.update(dict.fromkeys(union, union))
    return sorted(set(component.values()), key=min)


def _equation_holds(context: RoundContext, members: tuple[ClientId, ...]) -> bool:
    """Whether the statistics of ``members``, whole groups, are those of their uploads."""
    plan = full_plan(context)
    sum_context = context.update_context()
    ring, inside = sum_context.ring, set(members)
    claimed = ring.zeros(plan.rows)
    for group in _accepted(context):
        if inside >= set(group.members):
            claimed += _low_bits(sum_context, group.total)
    found = mask_image(plan, ring, _without_self_masks(context, sum_context, members))
    for client in members:
        for peer in (c for c in context.progress.accepted if c not in inside):
            image = ring.from_bytes(context.progress.cross_masks[client][peer], plan.rows)
            if mask_sign(client, peer) > 0:
                found -= image
            else:
                found += image
    return np.array_equal(ring.reduce(found), ring.reduce(claimed))


def _low_bits(context: SumContext, total: UInt) -> UInt:
    mask = np.uint64((1 << context.ring.bits) - 1)
    return (total & mask).astype(context.ring.dtype)


def _without_self_masks(
    context: RoundContext, sum_context: SumContext, members: tuple[ClientId, ...]
) -> UInt:
    """Y_G: the uploads of ``members``, with the masks against the rest of A still on them."""
    seeds, absent = restored_secrets(context)
    return unmask_sum(
        sum_context,
        context.graph,
        (
            sum_context.ring.from_bytes(context.uploads[client], sum_context.length)
            for client in members
        ),
        {client: seeds[client] for client in members},
        absent,
        {client: keys.update_mask for client, keys in context.progress.keys.items()},
    )
