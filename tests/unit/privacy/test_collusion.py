from __future__ import annotations

import numpy as np
import pytest

from auror.privacy.collusion import assess, honest_members


def test_small_groups_with_one_honest_member_do_occur() -> None:
    # 30 rounds of 30 clients, 9 of them colluding: about three sightings at g = 5,
    # next to none at g = 10.
    five = assess([(30, 5)] * 180, 9)
    ten = assess([(30, 10)] * 90, 9)
    assert five is not None
    assert ten is not None
    assert five.single_honest_openings == pytest.approx(3.34, abs=0.01)
    assert ten.single_honest_openings == pytest.approx(6.3e-5, rel=0.01)
    assert five.likely_fewest_honest == 1
    assert ten.likely_fewest_honest > 1


def test_the_distribution_matches_random_draws() -> None:
    rng = np.random.default_rng(1)
    draws = [int((rng.permutation(10)[:4] >= 3).sum()) for _ in range(20_000)]
    observed = np.bincount(draws, minlength=5) / len(draws)
    assert honest_members(10, 4, 3) == pytest.approx(observed.tolist(), abs=0.015)


def test_the_expected_minimum_matches_random_draws() -> None:
    rng = np.random.default_rng(2)
    minima = [
        min(int((rng.permutation(10)[:4] >= 3).sum()) for _ in range(5)) for _ in range(4_000)
    ]
    assert min(minima) >= 1  # three colluders cannot fill a group of four
    found = assess([(10, 4)] * 5, 3)
    assert found is not None
    assert found.expected_fewest_honest == pytest.approx(np.mean(minima), abs=0.05)
    assert found.likely_fewest_honest == int(np.median(minima))


def test_without_colluders_every_member_is_honest() -> None:
    found = assess([(10, 4), (10, 3)], 0)
    assert found is not None
    assert found.likely_fewest_honest == 3
    assert found.expected_fewest_honest == 3.0
    assert found.single_honest_openings == 0


def test_a_group_larger_than_its_cohort_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cohort of 4"):
        honest_members(4, 5, 1)
