"""Step 5.0: groups that the total does without, so that moved evidence shows (docs/protocol.md).

Colluders can add to the statistics of one group what they take from another's: the sum over all
groups stays what it was. A total that holds one side of the move and not the other fails its check.
The draw is made once the statistics are open, so nobody could lie to suit it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from auror.crypto.entropy import Entropy
from auror.ids import GroupIndex
from auror.params import RoundParams
from auror.secagg.topology import Topology

WORTH_AUDITING = 3
"""Fewest groups of which a random audit leaves one out."""

AuditDraw = Callable[[tuple[GroupIndex, ...], tuple[GroupIndex, ...]], tuple[GroupIndex, ...]]
"""From all groups and those that hold a suspect to those that should be left out, in order."""


def drawn_by(entropy: Entropy, probability: float) -> AuditDraw:
    """Nobody is suspected: with ``probability`` one group of three or more, uniform. One of two is
    not worth it: the other alone says nothing of anybody, so the round's evidence would be lost.

    Somebody is: one of the suspects' groups for certain, every other one of them by a coin. What
    was moved between a lone suspect and anybody else then shows for certain, and what was moved
    between suspects in half of the rounds or more.
    """

    def draw(
        groups: tuple[GroupIndex, ...], suspected: tuple[GroupIndex, ...]
    ) -> tuple[GroupIndex, ...]:
        if suspected:
            first, *others = sorted(suspected, key=lambda _index: entropy(8))
            return (first, *(index for index in others if entropy(1)[0] & 1))
        drawn = int.from_bytes(entropy(16), "little")
        chance, choice = drawn & (2**64 - 1), drawn >> 64
        if len(groups) < WORTH_AUDITING or chance >= probability * 2**64:
            return ()
        return (groups[choice % len(groups)],)

    return draw


def omittable(
    drawn: Sequence[GroupIndex],
    members: Mapping[GroupIndex, int],
    cohort: int,
    params: RoundParams,
    fewest: int,
) -> tuple[GroupIndex, ...]:
    """Those of ``drawn``, in order, that the total can do without.

    ``members``: of every group that would be in the total. The rest must hold
    ``min_accepted_groups`` and ``fewest`` clients (else clients refuse it), and a sparse graph of
    ``cohort`` clients no more gaps than it was made for, beyond one group.
    """
    if not drawn:
        return ()
    wiring = Topology.for_cohort(cohort, params.colluders, params.dropouts)
    groups, clients = len(members), sum(members.values())
    left_out: list[GroupIndex] = []
    gone = cohort - clients
    for index in drawn:
        size = members[index]
        if groups <= params.min_accepted_groups or clients - size < fewest:
            continue
        if left_out and not wiring.complete and gone + size > wiring.silent:
            continue
        left_out.append(index)
        groups, clients, gone = groups - 1, clients - size, gone + size
    return tuple(left_out)
