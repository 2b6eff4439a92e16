"""When evidence becomes a flag: early and settled groupings, last looks, further attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from auror.defence.confusion import label_pairs
from auror.defence.decode import Decoded
from auror.defence.selection import Block, Cohort, VerdictParams, select
from auror.defence.spike_slab import PAIR_SPREADS

N = 30
EARLY, SETTLED = 1.3, 2.5


def block(columns: Mapping[int, Mapping[int, float]], certainty: float = 20.0) -> Block:
    """Four readings of three classes' label pairs in which clients are known up to their level,
    each to a standard deviation of ``certainty``^−½; ``columns``: reading → client → value."""
    truth = np.random.default_rng(0).normal(size=(4, N))
    for column, values in columns.items():
        truth[column, list(values)] = list(values.values())
    precision = certainty * (np.eye(N) - 1.0 / N)
    decoded = Decoded(truth.T, precision, truth @ precision, 1.0, certainty)
    return Block(label_pairs(3)[:4], decoded, PAIR_SPREADS)


def cohort(coverage: float, group_size: float = 5.0) -> Cohort:
    return Cohort(np.ones(N, dtype=bool), coverage, frozenset(range(N)), group_size)


def flagged(found: Block, around: Cohort, params: VerdictParams | None = None) -> set[int]:
    chosen = select([found], around, params or VerdictParams())
    return {row for finding in chosen.found for row in finding.members}


def test_clear_evidence_is_enough_early_and_late() -> None:
    found = block({2: {3: 9.0, 8: 10.0, 21: 8.0}})
    for coverage in (EARLY, SETTLED):
        chosen = select([found], cohort(coverage), VerdictParams())
        assert [finding.column for finding in chosen.found] == [2]
        assert chosen.found[0].members == (3, 8, 21)
        assert chosen.strength >= chosen.required


def test_a_doubtful_client_waits_until_the_groupings_are_settled() -> None:
    found = block({2: {3: 9.0, 8: 10.0, 21: 8.0, 5: 4.6}})
    doubtful = select([found], cohort(SETTLED), VerdictParams()).found[0].posterior.inclusion[5]
    between = VerdictParams(inclusion=doubtful - 0.01, early_inclusion=doubtful + 0.01)
    assert flagged(found, cohort(EARLY), between) == {3, 8, 21}
    assert flagged(found, cohort(SETTLED), between) == {3, 5, 8, 21}


def test_weak_evidence_flags_nobody() -> None:
    found = block({2: {3: 9.0, 8: 10.0, 21: 8.0}})
    strength = select([found], cohort(SETTLED), VerdictParams()).strength
    assert flagged(found, cohort(SETTLED), VerdictParams(evidence=strength - 0.1))
    assert flagged(found, cohort(SETTLED), VerdictParams(evidence=strength + 0.1)) == set()


def test_flags_that_end_all_evidence_wait_for_the_undecided() -> None:
    """Two groups of 15: once somebody is gone there is nothing left to compare."""
    bad = dict.fromkeys(range(6), 9.0)
    found = block({1: {**bad, 6: 3.2}})
    leans = select([found], cohort(SETTLED), VerdictParams()).found[0].posterior
    assert leans.inclusion[6] >= 0.1
    assert leans.effect[6] < 3.5
    assert flagged(found, cohort(EARLY, 15.0)) == set()
    assert flagged(found, cohort(EARLY, 5.0)) == set(bad)
    assert flagged(found, cohort(1.9, 15.0)) == set(bad)
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
    assert flagged(block({1: {0: 9.0, 1: 9.0, 2: 3.2}}), gone) == {0, 1}  # two remain two


def test_a_further_attack_needs_more() -> None:
    first = dict.fromkeys(range(6), 12.0)
    found = block({0: first, 3: {20: 8.0, 24: 9.0, 28: 10.0}})
    assert flagged(found, cohort(SETTLED)) == set(first) | {20, 24, 28}
    chosen = select([found], cohort(SETTLED), VerdictParams())
    second = chosen.found[1].score
    harder = VerdictParams(further=second - 1.0 + 0.01)
    assert flagged(found, cohort(SETTLED), harder) == set(first)


def test_small_effects_are_no_attack() -> None:
    found = block({2: {3: 9.0, 8: 10.0, 21: 8.0}})
    assert flagged(found, cohort(SETTLED), VerdictParams(min_effect=12.0)) == set()
    assert flagged(found, cohort(SETTLED), VerdictParams(min_own_effect=9.2)) == {8}


def test_half_of_the_clients_are_never_flagged() -> None:
    found = block({2: dict.fromkeys(range(15), 12.0)})
    assert len(flagged(found, cohort(SETTLED))) < N / 2


def test_who_was_in_no_group_is_not_flagged() -> None:
    found = block({2: {3: 9.0, 8: 10.0, 21: 8.0}})
    seen = np.ones(N, dtype=bool)
    seen[8] = False
    assert 8 not in flagged(found, Cohort(seen, SETTLED, frozenset(range(N)), 5.0))


def test_larger_cohorts_need_more() -> None:
    params = VerdictParams()
    assert params.needed(15) == params.needed(30) == params.evidence
    assert params.needed(100) > params.needed(60) > params.evidence


@pytest.mark.parametrize(
    "bad",
    [
        {"inclusion": 0.0},
        {"inclusion": 0.99},
        {"early_inclusion": 1.0},
        {"calibrated_cohort": 0},
        {"shrinkage": 1.5},
    ],
)
def test_thresholds_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        VerdictParams(**bad)  # type: ignore[arg-type]
