"""From opened sums to a decision, to evidence and to flags."""

from __future__ import annotations

import numpy as np
import pytest
from campaign_kit import Scripted

from auror.defence.features import FeatureBlock, FeatureKind
from auror.defence.ledger import Ledger
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.label_rows import LabelRows
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.record import OpenedGroup
from auror.sim.seeded import seeded_entropy
from auror.training.audits import drawn_by
from auror.training.confirmation import Confirmation
from auror.training.defence import Defence, DefendedRound
from auror.training.observations import PlanChoice, RoundPlan, assemble_plan, observe

N, K = 12, 4
PARAMS = RoundParams(group_size=3, colluders=1, challenge_rows=0, quantisation_range=0.5)
PLAN = RoundPlan(StatisticsPlan(K, (OutputLayer(0, K),)), None)
EVERYBODY = tuple(ClientId(c) for c in range(N))


def defence(flags: dict[int, set[int]], audits: float = 0.0) -> Defence:
    ledger = Ledger([FeatureBlock(FeatureKind.OUTPUT, 0, K, (K,))])
    draw = drawn_by(seeded_entropy(1), audits)
    return Defence(Scripted(flags), ledger, Confirmation(), draw)


def opened(index: int, plan: StatisticsPlan = PLAN.plan) -> tuple[OpenedGroup, ...]:
    """Four groups of three whose members sent noise around the middle, the last of them far more
    of it."""
    rng = np.random.default_rng(index)
    found = []
    for k in range(4):
        spread = 30000 if k == 3 else 10
        values = 32768 + rng.integers(-spread, spread, size=(3, K))
        total = np.sum([plan.apply(row.astype(np.int64)) for row in values], axis=0)
        found.append(OpenedGroup(GroupIndex(k), EVERYBODY[k::4], total.astype(np.uint64)))
    return tuple(found)


def begin(made: Defence, index: int, fewest: int = 3) -> None:
    made.begin(DefendedRound(index=index, era=0, plan=PLAN, params=PARAMS, cohort=N, fewest=fewest))


def test_accepted_sums_become_evidence_and_a_suspects_group_stays_out() -> None:
    made = defence({1: {5}})
    for index in range(4):
        begin(made, index)
        groups = opened(index)
        decision = made.decide(groups, PLAN.plan, EVERYBODY)
        suspects = {GroupIndex(1): "suspected: 5"} if index else {}
        assert decision.left_out == suspects
        assert made.audited == tuple(suspects)
        assert set(decision.accepted) == {0, 1, 2, 3} - suspects.keys()
        flagged = made.bound([g for g in groups if g.index in decision.accepted])
        assert flagged == ((5,) if index == 3 else ())
    assert made.confirmation.flagged == {5: 3}
    assert made.accused(EVERYBODY) == {}
    assert [len(entry.groups) for entry in made.ledger.rounds] == [4, 3, 3, 3]
    first = made.ledger.rounds[0].groups[0]
    mean = opened(0)[0].total.astype(np.int64) / 3 / 65535 - 0.5
    np.testing.assert_allclose(first.mean, mean, atol=1e-12)


def test_a_failed_check_is_no_evidence_and_earlier_evidence_accuses_no_more() -> None:
    made = defence({1: {5}})
    for index in range(2):
        begin(made, index)
        decision = made.decide(opened(index), PLAN.plan, EVERYBODY)
        if index:
            made.failed()
        else:
            made.bound(opened(index))
    assert decision.left_out
    assert len(made.ledger.rounds) == 1
    assert made.confirmation.disputed == 1
    begin(made, 2)
    assert made.decide(opened(2), PLAN.plan, EVERYBODY).left_out == {}


def test_a_total_that_can_spare_no_group_tests_nobody() -> None:
    made = defence({1: {5}})
    begin(made, 0)
    made.bound(opened(0))
    begin(made, 1, fewest=N)
    assert made.decide(opened(1), PLAN.plan, EVERYBODY).left_out == {}
    assert made.confirmation.tested == frozenset()


def test_a_group_of_implausible_size_stays_out_unheard() -> None:
    made = defence({})
    challenge = PLAN.plan.with_challenge(b"s" * 32, 4)
    begin(made, 0)
    quiet = made.decide(opened(0, challenge)[:3], challenge, EVERYBODY)
    assert quiet.left_out == {}
    groups = opened(1, challenge)
    loud = made.decide(groups, challenge, EVERYBODY)
    assert loud.left_out == {3: "implausible size of its updates"}


def test_without_a_round_nothing_is_decided() -> None:
    made = defence({})
    with pytest.raises(ValueError, match="no round"):
        made.decide((), PLAN.plan, EVERYBODY)
    assert made.judge(EVERYBODY) is None


def test_the_label_rows_of_totals_are_compared() -> None:
    """Two classes, two hidden units: the rows of a step are what ``observe`` reads of a group."""
    rows = LabelRows.from_matrix(0, np.array([[3, 1], [1, 4]]), 1)
    plan = assemble_plan(PlanChoice(confusion=True), K, rows.output, rows, Digest(bytes(32)))
    made = defence({})
    around = DefendedRound(index=0, era=0, plan=plan, params=PARAMS, cohort=N, fewest=3)
    made.begin(around)
    groups = opened(0, plan.plan)
    made.bound(groups, watched=False)
    assert len(made.doubt.change.recent) == 0  # no step, nothing to compare
    alone = groups[0]
    values = 32768 + np.random.default_rng(0).integers(-10, 10, size=(3, K))
    step = quantiser(PARAMS).mean(values.sum(axis=0), 3)
    made.bound(groups, step=step)
    (told,) = made.doubt.change.recent
    (entry,) = observe(plan, quantiser(PARAMS), [alone])
    np.testing.assert_allclose(told.ravel(), entry.mean, rtol=1e-5)
