"""What silence and proven lies cost, and who trains together meanwhile."""

from __future__ import annotations

import json
from typing import Any

from campaign_kit import Run, lying
from rounds_kit import Deployment

from auror.defence.liability import Liability
from auror.errors import AbortReason, DropReason
from auror.ids import ClientId
from auror.round.messages import (
    MaskedStatistics,
)
from auror.round.summary import RoundSummary
from auror.sim.seeded import seeded_entropy
from auror.training.attendance import Attendance
from auror.training.conduct import Conduct


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


def test_three_silences_after_the_upload_cost_a_pause_and_each_more_a_longer_one() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=12)
    invited = [4 in run.round(mute).cohort for _ in range(12)]
    pauses = [False], [False] * 2, [False] * 4
    assert invited == [True] * 3 + pauses[0] + [True] + pauses[1] + [True] + pauses[2]
    assert run.campaign.uninvited == frozenset()  # silence proves nothing
    assert 4 in run.campaign.invitable


def test_a_round_with_statistics_forgives_earlier_silences() -> None:
    def mute(client: ClientId, message: Any) -> Any:
        return None if client == 4 and isinstance(message, MaskedStatistics) else message

    run = Run(rounds=6)
    for hook in (mute, mute, None, mute, mute):
        assert 4 in run.round(hook).cohort
    assert run.campaign.uninvited == frozenset()


def members(*clients: int) -> tuple[ClientId, ...]:
    return tuple(map(ClientId, clients))


POLICY = Deployment(9).policy
EVERYBODY = members(*range(9))


def test_who_keeps_its_masks_closed_three_times_is_not_invited_whatever_lies_between() -> None:
    conduct = Conduct()
    for index in range(5):
        hiding = members(3) if index % 2 == 0 else ()
        conduct.book(
            RoundSummary(withheld=frozenset(hiding)), (), failed=True, colluders=1, index=index
        )
        assert (3 in conduct.uninvited) == (index == 4)


def test_a_pair_that_disagreed_is_invited_one_by_one_while_the_floor_allows() -> None:
    conduct = Conduct(pairs=[frozenset(members(2, 5))])
    invited = [
        conduct.cohort(EVERYBODY, EVERYBODY, POLICY, index, seeded_entropy(1)) for index in (0, 1)
    ]
    assert invited == [
        (members(0, 1, 3, 4, 5, 6, 7, 8), False),
        (members(0, 1, 2, 3, 4, 6, 7, 8), False),
    ]
    few = members(0, 1, 2, 3, 5, 6)
    assert conduct.cohort(few, few, POLICY, 0, seeded_entropy(1)) == (few, False)


def test_only_those_who_are_there_are_invited() -> None:
    found = Conduct().cohort(EVERYBODY, members(8, 1, 99), POLICY, 0, seeded_entropy(1))
    assert found == (members(1, 8), False)


def test_the_least_suspected_train_alone_until_the_budget_of_such_rounds_is_spent() -> None:
    liability = Liability([frozenset(members(0, 4)), frozenset(members(4, 7))])
    conduct = Conduct(liability=liability, cautious=True)
    cohort, disputed = conduct.cohort(EVERYBODY, EVERYBODY, POLICY, 0, seeded_entropy(1))
    assert disputed
    assert len(cohort) == 6
    assert {0, 4, 7}.isdisjoint(cohort)
    conduct.disputed = POLICY.budget.max_disputed
    assert conduct.cohort(EVERYBODY, EVERYBODY, POLICY, 0, seeded_entropy(1)) == (EVERYBODY, False)


def test_it_survives_as_json() -> None:
    conduct = Conduct(
        excluded={ClientId(1): 3},
        silences={ClientId(2): 1},
        attendance=Attendance(
            {ClientId(2): 1.5}, {ClientId(6): 2}, {ClientId(6): 9}, frozenset(members(2))
        ),
        withheld={ClientId(3): 2},
        pairs=[frozenset(members(4, 5))],
        liability=Liability([frozenset(members(4, 5))], {ClientId(4): 2}),
        cautious=True,
        disputed=6,
    )
    assert Conduct.from_dict(json.loads(json.dumps(conduct.to_dict()))) == conduct


def test_who_pauses_comes_back_before_a_round_would_have_too_few() -> None:
    floor = POLICY.fewest_present(False)
    until = {ClientId(client): 10 + client for client in range(8)}
    conduct = Conduct(attendance=Attendance(until=until))
    cohort, disputed = conduct.cohort(EVERYBODY, EVERYBODY, POLICY, 3, seeded_entropy(1))
    assert not disputed
    assert cohort == (*members(*range(floor - 1)), ClientId(8))  # those who may come back soonest
    later, _disputed = conduct.cohort(EVERYBODY, EVERYBODY, POLICY, 17, seeded_entropy(1))
    assert later == EVERYBODY


def test_silence_is_counted_and_lateness_and_withdrawal_are_not() -> None:
    conduct = Conduct()
    summary = RoundSummary(
        dealt=members(0, 1, 2),
        dropped={
            ClientId(3): DropReason.SILENT,
            ClientId(4): DropReason.SILENT,
            ClientId(5): DropReason.REFUSED,
        },
        late=frozenset(members(4)),
    )
    conduct.book(summary, members(*range(6)), failed=False, colluders=1, index=0)
    assert conduct.attendance.sums.keys() == {3}
    assert conduct.attendance.last == {3}
