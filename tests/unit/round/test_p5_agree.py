"""Phase 5: one accepted set, large enough, of whole groups."""

from __future__ import annotations

from dataclasses import replace

from lying import LIAR, VICTIM, provokes, refuses
from rounds_kit import (
    PARAMS,
    Deployment,
    play,
)

from auror.crypto.tags import Tag
from auror.errors import AbortReason, Refusal
from auror.ids import GroupIndex
from auror.round.messages import (
    AcceptedSet,
    Agreement,
)
from auror.round.server.context import Decision


@provokes(Refusal.VIEW_DISAGREES)
def test_member_of_the_accepted_that_signed_another_view(nine: Deployment) -> None:
    other = nine.keys[LIAR].sign(Tag.VIEW_SIGNATURE, bytes(32))
    for signatures in ({LIAR: other}, {}):
        played = refuses(
            nine,
            Refusal.VIEW_DISAGREES,
            AcceptedSet,
            lambda m, new=signatures: replace(
                m, signatures={c: s for c, s in m.signatures.items() if c != LIAR} | new
            ),
        )
        assert VICTIM not in played.said(Agreement)


@provokes(Refusal.ACCEPTED_NOT_GROUPS)
def test_accepted_set_that_splits_a_group(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.ACCEPTED_NOT_GROUPS,
        AcceptedSet,
        lambda m: replace(m, accepted=m.accepted[:-1]),
    )


@provokes(Refusal.ACCEPTED_TOO_SMALL)
def test_accepted_set_below_own_floor(nine: Deployment) -> None:
    groups = play(nine).summary.groups
    refuses(
        nine,
        Refusal.ACCEPTED_TOO_SMALL,
        AcceptedSet,
        lambda m: replace(m, accepted=groups[0]),
        min_accepted=5,
    )


def test_accepted_set_with_fewer_than_two_honest_clients() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    smallest = min(play(pairs).summary.groups, key=len)
    assert len(smallest) == 2  # one assumed colluder, one honest
    refuses(pairs, Refusal.ACCEPTED_TOO_SMALL, AcceptedSet, lambda m: replace(m, accepted=smallest))


@provokes(AbortReason.TOO_FEW_ACCEPTED)
def test_too_few_accepted_groups_or_clients(nine: Deployment) -> None:
    played = play(nine, decide=lambda groups, plan: Decision((), {}))
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert set(played.summary.left_out) == {GroupIndex(k) for k in range(3)}
    few = play(nine, decide=lambda groups, plan: Decision((groups[0].index,), {}))
    assert few.aborted is AbortReason.TOO_FEW_ACCEPTED  # three of at least five


def test_fewer_accepted_groups_than_configured() -> None:
    both = Deployment(9, 0, replace(PARAMS, min_accepted_groups=3))
    two = tuple(GroupIndex(k) for k in range(2))
    played = play(both, decide=lambda groups, plan: Decision(two, {}))
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert not played.summary.unmasking
