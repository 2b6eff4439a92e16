"""When evidence becomes a flag: early and settled groupings, last looks, further attacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from auror.defence import selection
from auror.defence.blocks import PAIR_SPREADS
from auror.defence.confusion import Against, Depleted, Mislabelled, label_pairs
from auror.defence.gaussian import Gaussians
from auror.defence.selection import Block, Cohort, VerdictParams, select, steadfast

N = 30
EARLY, SETTLED = 1.3, 2.5
BAD = {3: 9.0, 8: 10.0, 21: 8.0}


def block(columns: Mapping[int, Mapping[int, float]], certainty: float = 20.0) -> Block:
    """Six readings of three classes' label pairs in which clients are known up to their level,
    each to a standard deviation of ``certainty``^−½; ``columns``: reading → client → value."""
    truth = np.random.default_rng(0).normal(size=(6, N))
    for column, values in columns.items():
        truth[column, list(values)] = list(values.values())
    precision = certainty * (np.eye(N) - 1.0 / N)
    ones = np.ones(6)
    return Block(
        readings=label_pairs(3),
        values=[],
        gains=np.ones(0),
        gaussians=Gaussians(precision),
        shift=truth @ precision,
        spreads=PAIR_SPREADS,
        expected=ones,
        typical=ones,
        noise=ones,
        ratio=certainty * ones,
        least=0.0 * ones,
    )


def cohort(coverage: float, group_size: float = 5.0) -> Cohort:
    return Cohort(np.ones(N, dtype=bool), coverage, frozenset(range(N)), group_size)


def flagged(found: Block, around: Cohort, params: VerdictParams | None = None) -> set[int]:
    chosen = select([found], around, params or VerdictParams())
    return {row for finding in chosen.found for row in finding.members}


def test_clear_evidence_is_enough_early_and_late() -> None:
    found = block({2: BAD})
    for coverage in (EARLY, SETTLED):
        chosen = select([found], cohort(coverage), VerdictParams())
        assert [finding.column for finding in chosen.found] == [2]
        assert chosen.found[0].members == (3, 8, 21)
        assert chosen.found[0].reading == label_pairs(3)[2]
        assert chosen.found[0].effect > 5.0
        assert chosen.leading is chosen.found[0]
        assert chosen.strength >= chosen.required


def test_a_doubtful_client_waits_until_the_groupings_are_settled() -> None:
    found = block({2: {**BAD, 5: 4.6}})
    doubtful = select([found], cohort(SETTLED), VerdictParams()).found[0].posterior.inclusion[5]
    between = VerdictParams(inclusion=doubtful - 0.01, early_inclusion=doubtful + 0.01)
    assert flagged(found, cohort(EARLY), between) == {3, 8, 21}
    assert flagged(found, cohort(SETTLED), between) == {3, 5, 8, 21}
    just = VerdictParams().settled
    assert flagged(found, cohort(just - 0.01), between) == {3, 8, 21}
    assert flagged(found, cohort(just), between) == {3, 5, 8, 21}


def test_everybody_flagged_is_likely_enough_by_itself() -> None:
    found = block({2: {**BAD, 5: 4.6}})
    doubtful = select([found], cohort(SETTLED), VerdictParams()).found[0].posterior.inclusion[5]
    strict = VerdictParams(inclusion=doubtful + 0.01, early_inclusion=0.999)
    assert flagged(found, cohort(SETTLED), strict) == {3, 8, 21}


def test_the_odds_needed_are_one_over_alpha() -> None:
    """A reading passes exactly from log-odds of log(1/alpha) on, and the choice among all
    readings is paid for."""
    found = block({2: BAD})
    chosen = select([found], cohort(SETTLED), VerdictParams())
    strength, at = chosen.strength, math.exp(-chosen.strength)
    assert chosen.required == pytest.approx(math.log(100.0))
    assert flagged(found, cohort(SETTLED), VerdictParams(alpha=at * 1.01))
    assert flagged(found, cohort(SETTLED), VerdictParams(alpha=at * 0.99)) == set()
    assert chosen.found[0].score == pytest.approx(
        chosen.found[0].posterior.evidence - math.log(len(found.readings))
    )
    twice = select([found, block({})], cohort(SETTLED), VerdictParams())
    assert twice.strength == pytest.approx(strength - math.log(2.0), abs=0.01)


def test_larger_cohorts_need_more() -> None:
    params = VerdictParams()
    assert params.required(15) == params.required(30) == pytest.approx(math.log(1 / params.alpha))
    assert params.required(100) - params.required(60) == pytest.approx(40 * params.misfit)
    assert params.required(60) - params.required(30) == pytest.approx(30 * params.misfit)
    assert VerdictParams(misfit=0.0).required(1000) == params.required(30)
    seen = np.arange(200) < 100
    around = Cohort(seen, SETTLED, frozenset(range(200)), 5.0)
    assert around.required(params) == params.required(100)  # who was never seen is not counted


def test_flags_that_end_all_evidence_wait_for_the_undecided() -> None:
    """Two groups of 15: once somebody is gone there is nothing left to compare."""
    bad = dict.fromkeys(range(6), 9.0)
    found = block({1: {**bad, 6: 3.2}})
    leans = select([found], cohort(SETTLED), VerdictParams()).found[0].posterior
    params = VerdictParams()
    assert params.doubt <= leans.inclusion[6] < params.inclusion
    sure = VerdictParams(doubt=float(leans.inclusion[6]) + 0.01)
    assert flagged(found, cohort(EARLY, 15.0), sure) == set(bad)
    assert flagged(found, cohort(EARLY, 15.0)) == set()
    assert flagged(found, cohort(EARLY, 5.0)) == set(bad)
    assert flagged(found, cohort(params.ending - 0.01, 15.0)) == set()
    assert flagged(found, cohort(params.ending, 15.0)) == set(bad)
    assert flagged(found, cohort(SETTLED, 15.0)) == set(bad)
    assert flagged(block({1: bad}), cohort(EARLY, 15.0)) == set(bad)


def test_flags_that_halve_the_evidence_wait_unless_it_fades() -> None:
    """Three groups of ten: once somebody is gone two are left, one independent sum of two."""
    bad = dict.fromkeys(range(6), 9.0)
    found = block({1: {**bad, 6: 3.2}})
    assert flagged(found, cohort(EARLY, 10.0)) == set()
    assert flagged(replace(found, fades=True), cohort(EARLY, 10.0)) == set(bad)
    assert flagged(replace(found, fades=True), cohort(EARLY, 15.0)) == set()
    assert flagged(found, cohort(EARLY, 5.0)) == set(bad)  # six groups, four later
    gone = Cohort(np.ones(N, dtype=bool), EARLY, frozenset(range(8, N)), 10.0)
    assert flagged(block({1: {0: 12.0, 1: 12.0, 2: 3.2}}), gone) == {0, 1}  # two remain two


def test_a_further_attack_is_found_with_the_first_ones_taken_out() -> None:
    first = dict.fromkeys(range(6), 12.0)
    found = block({0: first, 3: {20: 8.0, 24: 9.0, 28: 10.0}})
    chosen = select([found], cohort(SETTLED), VerdictParams())
    assert [finding.members for finding in chosen.found] == [tuple(first), (20, 24, 28)]
    assert chosen.strength == chosen.found[0].score
    # The second one has to reach the same odds.
    second = math.exp(-chosen.found[1].score)
    assert flagged(found, cohort(SETTLED), VerdictParams(alpha=second * 0.99)) == set(first)
    assert flagged(found, cohort(SETTLED), VerdictParams(max_findings=1)) == set(first)


@pytest.mark.parametrize("many", [15, 16, 20])
def test_half_of_the_clients_are_never_flagged(many: int) -> None:
    found = block({2: dict.fromkeys(range(many), 12.0)})
    assert len(flagged(found, cohort(SETTLED))) < N / 2


def test_who_was_in_no_group_is_not_flagged() -> None:
    seen = np.ones(N, dtype=bool)
    seen[8] = False
    assert flagged(block({2: BAD}), Cohort(seen, SETTLED, frozenset(range(N)), 5.0)) == {3, 21}


def test_tails_are_learnt_from_readings_of_other_labels() -> None:
    """Odd clients in a reading of the suspected labels say nothing of honest tails."""
    found = block({})
    pairs = label_pairs(3)
    for column, reading in enumerate(pairs):
        others = found.untouched(column)
        assert len(others)
        for other in others:
            assert pairs[other].source != reading.source
            assert pairs[other].target != reading.target
    classes = replace(found, readings=tuple(Depleted(c) for c in range(6)))
    assert list(classes.untouched(2)) == [0, 1, 3, 4, 5]
    alone = replace(found, readings=(Against(),))
    assert len(alone.untouched(0)) == 0
    many = replace(found, readings=tuple(Mislabelled(t, t + 1) for t in range(500)))
    learnt = many.untouched(7)
    assert len(learnt) == 1500 // N
    assert learnt[0] < 50
    assert learnt[-1] > 450  # spread over all of them
    # The suspects' labels loud in every reading that shares them: the verdict stays.
    shared = [k for k, p in enumerate(pairs) if k != 2 and k not in found.untouched(2)]
    loud = block({2: BAD, **{k: {c: v / 2 for c, v in BAD.items()} for k in shared}})
    assert set(BAD) <= flagged(loud, cohort(SETTLED))


def test_a_steadfast_member_stands_out_in_louder_noise_too() -> None:
    params = VerdictParams()
    finding = select([block({2: {**BAD, 3: 30.0}}, 4.0)], cohort(SETTLED), params).found[0]
    assert steadfast(finding, [], cohort(SETTLED), 1.0, params) == finding.members
    assert steadfast(finding, [], cohort(SETTLED), 400.0, params) == ()
    assert steadfast(finding, [8], cohort(SETTLED), 1.0, params) == tuple(
        member for member in finding.members if member != 8
    )


def test_a_glance_that_shows_nothing_hides_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examining every reading finds the same as examining those that look worth it."""
    found = [block({2: BAD}), block({})]
    usual = select(found, cohort(SETTLED), VerdictParams())
    monkeypatch.setattr(selection, "_WORTH_EXAMINING", -np.inf)
    monkeypatch.setattr(selection, "_EXAMINED", 6)
    thorough = select(found, cohort(SETTLED), VerdictParams())
    assert [f.members for f in usual.found] == [f.members for f in thorough.found]
    assert thorough.strength >= usual.strength - 1e-9


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": -0.1},
        {"inclusion": 0.0},
        {"inclusion": 0.99},
        {"early_inclusion": 1.0},
        {"min_rounds": 0},
        {"misfit": -0.1},
    ],
)
def test_thresholds_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).removeprefix("early_")):
        VerdictParams(**bad)  # type: ignore[arg-type]
