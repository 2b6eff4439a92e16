"""Phase 7, the server: whose statistics do not match? (docs/protocol.md steps 7.3–7.6)

The total is a sum over groups, so a failed check says only that somebody lied. With the images of
the masks between groups opened by both ends, each group's own equation can be checked:

    P·Y_G − Σ_{i∈G, j∉G} δ_ij·P·PRG(s_ij)  =  P·Σ_{i∈G} q_i      modulo 2^m

where Y_G is the sum of the group's uploads without self masks. A lie by a multiple of 2^m is not
localised (docs/threat-model.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from auror.crypto.entropy import Secret
from auror.errors import DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId, GroupIndex
from auror.round.binding import mask_image
from auror.round.messages import BindingFailed, CrossMasks
from auror.round.record import Mark, MarkKind
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p5_agree import WithProposal
from auror.round.server.p6_unmask import restored_secrets, unmasked
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import mask_sign


@dataclass(frozen=True)
class Localising(WithProposal):
    """The binding check failed, images of masks across groups come in."""

    phase: ClassVar[Phase] = Phase.LOCALISE
    failure: RoundAborted
    """How the round ends after this phase."""
    asked: frozenset[ClientId]
    images: dict[ClientId, Mapping[ClientId, bytes]] = field(default_factory=dict)
    """P·PRG(s_ij) as i opened it, by i and j."""


@dataclass(frozen=True)
class Localised(WithProposal):
    """What could be learnt about the liars is known."""

    withheld: frozenset[ClientId]
    """Who kept its masks closed in a group of which nothing else shows whether somebody lied."""


def ask(state: WithProposal, gone: AbstractSet[ClientId]) -> dict[ClientId, BindingFailed]:
    """Step 7.1: everybody in A who is still here is asked."""
    return {c: BindingFailed() for c in state.proposal.accepted if c not in gone}


def take_images(
    context: RoundContext, state: Localising, sender: ClientId, message: CrossMasks
) -> None:
    """Step 7.3. Raises PeerMisbehaved when they are not the images of exactly the asked masks."""
    group = next(members for members in _accepted(state).values() if sender in members)
    ring, rows = context.update_context().ring, state.draw.plan.rows
    if message.images.keys() != set(state.proposal.accepted) - set(group):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "not the masks across groups")
    try:
        for image in message.images.values():
            ring.check(image, rows)
    except ValueError as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, str(error)) from error
    state.images[sender] = message.images


def close(context: RoundContext, state: Localising) -> tuple[tuple[Mark, ...], frozenset[ClientId]]:
    """Steps 7.4–7.6: marks on pairs that disagree and on groups whose equation fails.

    A group is judged by what its own members opened: nothing that one client says marks anybody
    else's group, and silence shields nobody but the group of the silent, which is not judged.
    Groups between which a mask is disputed are checked together: their common masks cancel.

    Returns the marks, and who keeps its masks closed in a group that no mark touches: a lie may
    be hidden behind it.
    """
    opened = _accepted(state)
    home = {client: index for index, members in opened.items() for client in members}
    disputed = _disputed(state, home)
    marks = [Mark(MarkKind.PAIR, pair) for pair in disputed]
    secrets = restored_secrets(context, state)
    for merged in _merge(opened, [(home[i], home[j]) for i, j in disputed]):
        members = tuple(sorted(client for index in merged for client in opened[index]))
        answered = state.images.keys() >= set(members)
        if answered and not _equation_holds(context, state, members, *secrets):
            marks.append(Mark(MarkKind.GROUP, members))
    marked = {client for mark in marks for client in mark.clients}
    withheld = frozenset(
        client
        for client in state.asked - state.images.keys()
        if marked.isdisjoint(opened[home[client]])
    )
    return tuple(marks), withheld


def _accepted(state: WithProposal) -> dict[GroupIndex, tuple[ClientId, ...]]:
    return {group.index: group.members for group in state.proposal.of(state.opening.opened)}


def _disputed(
    state: Localising, home: dict[ClientId, GroupIndex]
) -> list[tuple[ClientId, ClientId]]:
    """Pairs across groups whose ends opened different images."""
    images = state.images
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


def _equation_holds(
    context: RoundContext,
    state: Localising,
    members: tuple[ClientId, ...],
    seeds: dict[ClientId, Secret],
    absent: dict[ClientId, Secret],
) -> bool:
    """Whether the statistics of ``members``, whole groups, are those of their uploads.

    ``seeds`` and ``absent`` are the ``restored_secrets`` of the round.
    """
    plan = state.draw.plan
    sum_context = context.update_context()
    ring, inside = sum_context.ring, set(members)
    claimed = ring.zeros(plan.rows)
    for group in state.proposal.of(state.opening.opened):
        if inside >= set(group.members):
            claimed += _low_bits(sum_context, group.total)
    # Y_G: with the masks against the rest of A still on the uploads
    masked = unmasked(context, state, members, seeds, absent)
    found = mask_image(plan, ring, masked)
    for client in members:
        for peer in (c for c in state.proposal.accepted if c not in inside):
            image = ring.from_bytes(state.images[client][peer], plan.rows)
            if mask_sign(client, peer) > 0:
                found -= image
            else:
                found += image
    return np.array_equal(ring.reduce(found), ring.reduce(claimed))


def _low_bits(context: SumContext, total: UInt) -> UInt:
    mask = np.uint64((1 << context.ring.bits) - 1)
    return (total & mask).astype(context.ring.dtype)
