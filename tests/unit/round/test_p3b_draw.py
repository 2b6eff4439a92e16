"""Phase 3b: r opens to a quorum only, and groups are drawn over U3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import exact, first_keys, refuses
from rounds_kit import (
    PARAMS,
    Deployment,
    play,
)

from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.messages import (
    ConsistencyList,
    Upload,
)


@pytest.mark.parametrize("known", [0, 5])
def test_no_share_of_r_without_a_quorum_on_exactly_its_own_uploads(
    nine: Deployment, known: int
) -> None:
    refuses(
        nine,
        Refusal.QUORUM_MISSING,
        ConsistencyList,
        lambda m: ConsistencyList(
            {**{c: bytes(64) for c in m.signatures}, **first_keys(m.signatures, known)}
        ),
    )


def test_groups_are_drawn_over_the_uploads_and_none_is_smaller_than_g() -> None:
    kit = Deployment(9, 2, replace(PARAMS, group_size=4))
    lost = ClientId(8)

    def vanish(client: ClientId, message: Any) -> Any:
        return None if client == lost and isinstance(message, Upload) else message

    played = play(kit, to_server=vanish)
    assert sorted(map(len, played.summary.groups)) == [4, 4]
    assert not any(lost in group for group in played.summary.groups)
    exact(played, kit)
