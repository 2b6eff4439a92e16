"""Phase 3b, the server: restore the committee's r, draw groups and challenge (docs/protocol.md
3.8–3.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from auror.ids import ClientId, Digest
from auror.round.messages import RandomnessList, RandomnessShares
from auror.round.plan import StatisticsPlan
from auror.round.public import Groups, draw_groups, view_digest
from auror.round.server.context import Phase, RoundContext
from auror.round.server.p0_advertise import Wired
from auror.round.server.p1b_receipts import check_given
from auror.round.server.p2_upload import Uploads, WithUploads
from auror.round.watch import opened_plan
from auror.secagg.instance import SecretKind


@dataclass(frozen=True)
class Drawing(WithUploads):
    """A quorum has signed U3, shares of the committee's r come in (``RoundContext.collector``)."""

    phase: ClassVar[Phase] = Phase.DRAW


@dataclass(frozen=True)
class Draw:
    """What follows from all r."""

    public_seed: bytes
    groups: Groups
    plan: StatisticsPlan
    """P as it is opened: with its challenge part, and nothing else in a round that is not
    watched."""
    view: Digest
    """h"""


@dataclass(frozen=True)
class WithDraw(WithUploads):
    """Every state from phase 4 on."""

    draw: Draw


def take_shares(
    context: RoundContext, state: Drawing, sender: ClientId, message: RandomnessShares
) -> None:
    """Step 3.8. Raises PeerMisbehaved when shares are not the asked or the committed ones, or one
    is missing that its receipt says it has."""
    asked = state.dealers.everybody & context.committee
    check_given(state, sender, asked, message.shares.keys())
    context.collector.add(sender, SecretKind.RANDOMNESS, message.shares)


def close(context: RoundContext, state: Drawing) -> tuple[Draw, dict[ClientId, bytes]]:
    """Steps 3.9–3.10: every r of the committee in U2 is known, of absentees too, so withholding
    one buys nothing. Returns these r, too.

    Raises:
        RoundAborted: too few shares of an r, or a dealer that shared another than it committed to.
    """
    dealers = [dealer for dealer in state.dealers.dealt if dealer in context.committee]
    wanted = dict.fromkeys(dealers, SecretKind.RANDOMNESS)
    secrets = context.collector.restore(wanted, state.wired.graph.ring)
    randomness = {dealer: secrets[dealer].reveal() for dealer in dealers}
    return draw(context, state.uploads, randomness), randomness


def tell(
    wired: Wired, drawn: Draw, randomness: Mapping[ClientId, bytes]
) -> dict[ClientId, RandomnessList]:
    """Step 3.10: to each of U3 every r, with the keys of its group that it was not shown before."""
    everybody = RandomnessList(randomness)
    if wired.graph.is_complete:
        return {client: everybody for group in drawn.groups for client in group}
    told = {}
    for group in drawn.groups:
        for client in group:
            known = {client, *wired.graph.neighbours[client]}
            keys, proof = wired.listed.show(set(group) - known)
            told[client] = replace(everybody, keys=keys, proof=proof) if keys else everybody
    return told


def draw(context: RoundContext, uploads: Uploads, randomness: Mapping[ClientId, bytes]) -> Draw:
    """Groups, what is opened of them, and h from U3 and all r."""
    uploaded = tuple(uploads.digests)
    seed = context.public_seed(context.transcript, uploaded, randomness)
    groups = draw_groups(seed, uploaded, context.params.group_size)
    plan = opened_plan(context.plan, context.description.watch, context.params, seed)
    return Draw(seed, groups, plan, view_digest(uploads.digest, randomness, groups, plan.digest()))
