"""Which families are judged, and what is believed of their spreads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.blocks import PAIR_SPREADS, AnySpread, PredictedSpreads, blocks_of
from auror.defence.confusion import Against, Depleted, Margin, Mislabelled, look, read
from auror.defence.decode import Design, inequality
from auror.defence.selection import Block, Cohort, VerdictParams, select
from auror.defence.spreads import FEWEST, GRID

Array = NDArray[np.float64]
N, ROUNDS, SIZE = 30, 12, 5
ALIKE = VerdictParams().alike
Split = list[list[list[int]]]


def opened(classes: int, seed: int, unequal: float = 0.0) -> tuple[Split, list[Array]]:
    """Honest clients; ``unequal``: standard deviation of the logarithm of a class's scale."""
    rng = np.random.default_rng(seed)
    scale = np.exp(unequal * rng.normal(size=classes))
    truth = rng.normal(size=(N, classes, classes)) * scale
    groups, means = [], []
    for _ in range(ROUNDS):
        fresh = 0.5 * rng.normal(size=truth.shape) * scale
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), N // SIZE)]
        groups.append(split)
        means.append(np.stack([(truth + fresh)[g].mean(axis=0) for g in split]) + np.eye(classes))
    return groups, means


def blocks(
    classes: int, seed: int, unequal: float = 0.0, alike: float = ALIKE
) -> tuple[Block, ...]:
    groups, means = opened(classes, seed, unequal)
    readings = read(look(means, [None] * ROUNDS, [[SIZE] * (N // SIZE)] * ROUNDS))
    return blocks_of(groups, readings, N, VerdictParams(alike=alike))


def kinds(found: tuple[Block, ...]) -> list[type]:
    return [type(block.readings[0]) for block in found]


@pytest.mark.parametrize("seed", range(3))
def test_alike_pairs_are_judged_and_unequal_ones_are_not(seed: int) -> None:
    assert kinds(blocks(10, seed)) == [Mislabelled, Margin, Depleted, Against]
    assert kinds(blocks(20, seed, unequal=1.2)) == [Depleted, Against]


def test_the_gate_is_the_mean_inequality_of_pairs_and_margins() -> None:
    groups, means = opened(10, 4, unequal=0.4)
    readings = read(look(means, [None] * ROUNDS, [[SIZE] * (N // SIZE)] * ROUNDS))
    families = (readings.mislabelled, readings.margins)
    at = np.mean([inequality(Design(groups, N).gather(family.values)) for family in families])
    assert 0.1 < at < 0.8
    just, not_quite = (VerdictParams(alike=float(at) + e) for e in (1e-6, -1e-6))
    assert Mislabelled in kinds(blocks_of(groups, readings, N, just))
    assert Mislabelled not in kinds(blocks_of(groups, readings, N, not_quite))


def test_pairs_of_classes_that_the_basis_cannot_tell_apart_are_not_judged() -> None:
    groups, means = opened(10, 5)
    for look_alike, judged in ((0, True), (3, False)):
        features = np.eye(10) + 0.1
        features[:look_alike, :look_alike] = 1.1
        gram = features @ features.T
        readings = read(look(means, [gram] * ROUNDS, [[SIZE] * (N // SIZE)] * ROUNDS))
        assert (readings.resolution >= VerdictParams().resolved) == judged
        found = kinds(blocks_of(groups, readings, N, VerdictParams(alike=9.0)))
        assert (Mislabelled in found) == judged


@pytest.mark.parametrize("classes", [2, FEWEST - 1, FEWEST])
def test_single_classes_are_judged_from_as_many_on_as_something_can_be_learnt_from(
    classes: int,
) -> None:
    assert FEWEST == 6
    found = kinds(blocks(classes, 1, alike=9.0))
    assert (Depleted in found) == (classes >= FEWEST)
    assert found[-1] is Against


def test_every_block_is_whole() -> None:
    for block in blocks(8, 2):
        count = len(block.readings)
        assert block.shift.shape == (count, N)
        assert len(block.gaussians) == N
        for values in (block.expected, block.typical, block.noise, block.ratio):
            assert values.shape == (count,)
            assert (values > 0.0).all()
        assert len(block.values) == len(block.gains) == ROUNDS
        np.testing.assert_allclose(block.gaussians.precision @ np.ones(N), 0.0, atol=1e-8)
        for column in range(count):
            grid, log_prior = block.spreads.of(column)
            assert grid.shape == log_prior.shape
            assert (np.diff(grid) > 0.0).all()
            assert np.exp(log_prior).sum() <= 1.0 + 1e-9
    assert [block.fades for block in blocks(8, 2)] == [False, False, False, True]
    assert [bool((block.least > 0.0).all()) for block in blocks(8, 2)] == [False] * 3 + [True]


def test_pairs_share_their_spread_and_nothing_is_assumed_of_steps() -> None:
    pairs, margins, single, against = blocks(8, 3)
    assert pairs.spreads is margins.spreads is PAIR_SPREADS
    np.testing.assert_array_equal(PAIR_SPREADS.of(0)[1], PAIR_SPREADS.of(5)[1])
    assert np.exp(PAIR_SPREADS.of(0)[1]).sum() == pytest.approx(1.0)
    assert isinstance(single.spreads, PredictedSpreads)
    assert isinstance(against.spreads, AnySpread)
    grid, log_prior = against.spreads.of(0)
    np.testing.assert_array_equal(grid, GRID)
    np.testing.assert_allclose(np.exp(log_prior), 1.0 / len(GRID))


def test_a_predicted_spread_is_summed_where_prior_or_sums_hold_it_for_likely() -> None:
    (*_, single, _against) = blocks(10, 5)
    spreads = single.spreads
    assert isinstance(spreads, PredictedSpreads)
    for column in range(10):
        grid, log_prior = spreads.of(column)
        prior = spreads.classes.log_prior[column]
        assert single.expected[column] in grid
        assert single.typical[column] in grid
        chosen = np.isin(GRID, grid)
        np.testing.assert_array_equal(prior[chosen], log_prior)
        assert len(grid) < len(GRID)


def stepping(shares: Array, seed: int) -> tuple[Split, list[Array]]:
    """Clients that go ``shares`` (N,) of one common step (C, C) a round, with some noise."""
    rng = np.random.default_rng(seed)
    step = np.diag(np.linspace(1.0, 2.0, 8))
    groups, means = [], []
    for _ in range(ROUNDS):
        sums = shares[:, None, None] * step + 0.1 * rng.normal(size=(N, 8, 8))
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), N // SIZE)]
        groups.append(split)
        means.append(np.stack([sums[g].mean(axis=0) for g in split]))
    return groups, means


@pytest.mark.parametrize("share", [0.7, 0.5, 0.3, -0.3, -0.6, -1.0])
def test_who_goes_less_far_than_others_does_not_step_against_them(share: float) -> None:
    rng = np.random.default_rng(6)
    shares = 1.0 + 0.05 * rng.normal(size=N)
    shares[:8] = share + 0.05 * rng.normal(size=8)
    groups, means = stepping(shares, 9)
    readings = read(look(means, [None] * ROUNDS, [[SIZE] * (N // SIZE)] * ROUNDS))
    params = VerdictParams()
    against = blocks_of(groups, readings, N, params)[-1]
    around = Cohort(np.ones(N, dtype=bool), 2.0, frozenset(range(N)), SIZE)
    chosen = select([against], around, params)
    found = {member for finding in chosen.found for member in finding.members}
    assert found == (set(range(8)) if share < 0.0 else set())


def test_who_stands_still_is_one_level_away_in_every_unit() -> None:
    _groups, means = stepping(np.ones(N), 10)
    for scale in (1.0, 1e-4):
        readings = read(
            look([scale * mean for mean in means], [None] * ROUNDS, [[SIZE] * (N // SIZE)] * ROUNDS)
        )
        # −⟨Q̄, 0 − Q̄⟩ / ‖Q̄‖ = ‖Q̄‖, in units of the family's median deviation
        level = np.sqrt(np.mean([np.linalg.norm(mean.mean(axis=0)) ** 2 for mean in means]))
        off = [np.abs(mean - mean.mean(axis=0))[:, ~np.eye(8, dtype=bool)] for mean in means]
        unit = 1.4826 * np.sqrt(SIZE) * np.median(off)
        assert readings.against.least == pytest.approx(level / unit, rel=0.1)
