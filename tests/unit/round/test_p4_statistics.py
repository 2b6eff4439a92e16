"""Phase 4: the dice are recomputed, and only whole groups open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import LIAR, exact, provokes, refuses
from rounds_kit import (
    PARAMS,
    Deployment,
    play,
)

from auror.errors import AbortReason, Refusal
from auror.ids import ClientId
from auror.round.messages import (
    AcceptedSet,
    Agreement,
    MaskedStatistics,
    RandomnessList,
    UpdateShares,
)


@provokes(Refusal.RANDOMNESS_FORGED)
@pytest.mark.parametrize(
    "change",
    [
        lambda r: {**r, LIAR: bytes(32)},
        lambda r: {**r, LIAR: bytes(31)},
        lambda r: {c: v for c, v in r.items() if c != LIAR},
        lambda r: {**r, ClientId(9): bytes(32)},
    ],
)
def test_contribution_to_the_randomness_forged(nine: Deployment, change: Any) -> None:
    refuses(
        nine,
        Refusal.RANDOMNESS_FORGED,
        RandomnessList,
        lambda m: RandomnessList(change(m.randomness)),
    )


def test_a_lost_member_closes_its_group_and_no_other() -> None:
    nine = Deployment(9)
    groups = play(nine).summary.groups
    lost = groups[1][0]

    def vanish(client: ClientId, message: Any) -> Any:
        gone = isinstance(message, MaskedStatistics | Agreement | UpdateShares)
        return None if client == lost and gone else message

    played = play(nine, to_server=vanish)
    assert played.summary.groups == groups
    assert [group.index for group in played.summary.opened] == [0, 2]
    assert set(played.summary.accepted) == set(groups[0]) | set(groups[2])
    exact(played, nine)

    def sneak(client: ClientId, message: Any) -> Any:
        if isinstance(message, AcceptedSet):
            whole = {c: message.signatures.get(c, bytes(64)) for c in nine.everybody}
            return AcceptedSet(nine.everybody, whole)
        return message

    sneaked = play(nine, to_server=vanish, to_client=sneak)
    assert {g.refusal for g in sneaked.gave_up.values()} == {Refusal.VIEW_DISAGREES}
    assert sneaked.total is None


def test_a_member_lost_in_every_group_ends_the_round() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    heads = {group[0] for group in play(pairs).summary.groups}

    def quiet(client: ClientId, message: Any) -> Any:
        lone = client not in heads and isinstance(message, MaskedStatistics)
        return None if lone else message

    played = play(pairs, to_server=quiet)
    assert set(played.summary.sent) == heads
    assert not played.summary.opened
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS
