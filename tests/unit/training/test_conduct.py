"""What silence and proven lies cost, and who trains together meanwhile."""

from __future__ import annotations

from typing import Any

from campaign_kit import Run, lying

from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.messages import (
    MaskedStatistics,
)


def test_a_lone_liar_is_proven_and_excluded_while_training_goes_on() -> None:
    run = Run(rounds=20)
    while 2 not in run.campaign.state.conduct.excluded and len(run.records) < 20:
        run.round(lying)
    assert run.campaign.state.conduct.excluded.keys() == {2}
    assert run.ends[-1].excluded == (2,)
    for _ in range(3):
        after = run.round(lying)
        assert after.aborted is None
        assert 2 not in after.cohort


def test_after_a_failed_check_the_least_suspected_half_trains_alone_once() -> None:
    run = Run(rounds=4)
    marked = run.round(lying)
    assert marked.aborted is AbortReason.BINDING_FAILED
    suspects = {client for mark in marked.marks for client in mark.clients}
    careful = run.round(lying)
    assert suspects.isdisjoint(careful.cohort)
    assert len(careful.cohort) == 6  # half of nine would be no two groups of three
    assert careful.aborted is None
    assert len(run.round().cohort) == 9


def test_three_silences_after_the_upload_cost_the_invitation() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=6)
    assert [4 in run.round(mute).cohort for _ in range(3)] == [True] * 3
    assert 4 not in run.round().cohort
    assert run.campaign.uninvited == {4}
    assert not run.campaign.state.conduct.excluded  # silence proves nothing


def test_a_round_with_statistics_forgives_earlier_silences() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=6)
    for hook in (mute, mute, None, mute, mute):
        assert 4 in run.round(hook).cohort
    assert run.campaign.uninvited == frozenset()
