"""``auror protocol``: one round in memory, told phase by phase: who knows what by now.

The machines are the real ones. Every number that is told comes from their messages, and what the
server opens is compared with sums over the plain inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from auror.errors import ConfigError
from auror.fields import Like, Range, check_fields
from auror.ids import GroupIndex
from auror.params import SEED, RoundParams
from auror.round.arithmetic import check_round
from auror.round.plan import StatisticsPlan
from auror.round.record import OpenedGroup
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Decision, Phase
from auror.sim.seeded import rounding_seed
from auror.tools.cast import Cast
from auror.tools.scenes import Story, scenes


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The round to be told."""

    clients: Annotated[int, Range(3)] = 10
    """n, clients in the round."""
    drop: Annotated[int, Range(0)] = 1
    """How many of them vanish before their upload."""
    exclude_group: Annotated[int, Range(0)] | None = None
    """A group that the defence leaves out; by default none."""
    group_size: Annotated[int, Like(RoundParams)] = 3
    """g, clients per group."""
    seed: Annotated[int, Range(0)] = SEED
    """Decides everything random."""

    def __post_init__(self) -> None:
        check_fields(self)


def tell(walk: Walk) -> Story:
    """Play the round and write down who knows what.

    Raises:
        ConfigError: more dropouts than the round survives, or no such group.
    """
    clients, drop, exclude = walk.clients, walk.drop, walk.exclude_group
    group_size, seed = walk.group_size, walk.seed
    cast = Cast(clients, group_size, seed)
    topology = check_round(cast.params, clients)
    if not topology.complete:
        raise ConfigError(f"clients = {clients}: at most 100 fit on a screen")
    fewest = cast.policy.floors(topology, disputed=False).present
    if drop > clients - fewest:
        raise ConfigError(
            f"drop = {drop}: {clients} clients survive at most {clients - fewest} dropouts"
            f" ({fewest} must stay); drop fewer or take more clients"
        )
    uploads = clients - drop
    count = uploads // group_size  # never none: the floor above is a group's worth
    if exclude is not None and not 0 <= exclude < count:
        raise ConfigError(
            f"exclude_group = {exclude}: {uploads} uploads make groups 0 … {count - 1} of"
            f" {group_size}"
        )
    gone = cast.everybody[clients - drop :]

    def decide(groups: tuple[OpenedGroup, ...], plan: StatisticsPlan) -> Decision:
        kept = tuple(group.index for group in groups if group.index != exclude)
        left = {} if exclude is None else {GroupIndex(exclude): "as asked"}
        return Decision(kept, left)

    outcome = run_round(
        cast.start(), cast.policy, cast.machines, cast.updates,
        lambda client: rounding_seed(seed, 0, client), decide,
        dict.fromkeys(gone, Phase.UPLOAD), overhear=cast.overhear,
    )  # fmt: skip
    story = Story(clients, group_size, topology.shares, topology.quorum, [int(c) for c in gone])
    _check(story, cast, outcome)
    story.scenes = scenes(story, cast, outcome)
    return story


def _check(story: Story, cast: Cast, outcome: RoundOutcome) -> None:
    summary = outcome.summary
    story.groups = [[int(c) for c in group] for group in summary.groups]
    exact = True
    for group in summary.opened:
        plain = sum(cast.plan.apply(cast.quantised[c]) for c in group.members)
        exact &= bool(np.array_equal(group.total, plain))
        story.opened[str(group.index)] = [int(value) for value in group.total]
    if outcome.total is not None:
        story.accepted = [int(c) for c in outcome.total.accepted]
        story.total = [int(value) for value in outcome.total.total]
        plain = np.sum([cast.quantised[c] for c in outcome.total.accepted], axis=0)
        exact &= bool(np.array_equal(outcome.total.total, plain))
    story.exact = exact
