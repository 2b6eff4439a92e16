"""Means, variances and determinants of Gaussians: inverted for few clients, expanded for many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence import gaussian
from auror.defence.blocks import PAIR_SPREADS
from auror.defence.decode import round_design
from auror.defence.gaussian import EXACT_UP_TO, FREE, Gaussians
from auror.defence.spike_slab import USUAL, Posterior, examine

Array = NDArray[np.float64]
SIZE = 5


def precision(n: int, rounds: int, rng: np.random.Generator) -> Array:
    """Λ of clients in random groups of five, half as much noise as spread."""
    found = np.zeros((n, n))
    for _ in range(rounds):
        groups = [g.tolist() for g in np.array_split(rng.permutation(n), n // SIZE)]
        design = round_design(groups, n)
        found += 4.0 * design.T @ design
    return found


def by_numpy(around: Array, tight: Array, shift: Array) -> tuple[Array, Array, Array]:
    means, variances, logs = [], [], []
    for t, h in zip(tight, shift, strict=True):
        full = around + np.diag(t)
        covariance = np.linalg.inv(full)
        means.append(covariance @ h)
        variances.append(np.diag(covariance))
        logs.append(np.linalg.slogdet(full)[1])
    return np.array(means), np.array(variances), np.array(logs)


def drawn(n: int, seed: int) -> tuple[Array, Array, Array]:
    """Λ, and t and h of four models: attackers' sites are wide, flagged clients' free."""
    rng = np.random.default_rng(seed)
    around = precision(n, 15, rng)
    tight = rng.choice([1.0, 0.05], p=[0.9, 0.1], size=(4, n)) * rng.uniform(0.5, 2.0, (4, 1))
    tight[3, :3] = 1e-4
    return around, tight, rng.normal(size=(4, n)) * 3.0


@pytest.mark.parametrize("n", [2, 30, EXACT_UP_TO])
def test_up_to_a_cohort_of_its_size_it_is_exact(n: int) -> None:
    around, tight, shift = drawn(max(n, SIZE), n)
    around, tight, shift = around[:n, :n], tight[:, :n], shift[:, :n]
    model = Gaussians(around)
    mean, variance, log_det = model.solve(tight, shift)
    expected = by_numpy(around, tight, shift)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(variance, expected[1], rtol=1e-6)
    np.testing.assert_allclose(log_det, expected[2], rtol=1e-9)
    np.testing.assert_allclose(model.covariance(tight[0]).diagonal(), expected[1][0], rtol=1e-6)


@pytest.mark.parametrize("n", [12, EXACT_UP_TO + 5])
def test_who_is_integrated_out_beforehand_is_as_good_as_carried_along(n: int) -> None:
    around, tight, pull = drawn(n, n)
    shift = np.random.default_rng(n).normal(size=pull.shape)
    free = np.array([1, 4, 5, 7, 8, 11])
    tight[:, free], pull[:, free] = FREE, 0.0
    rest = np.delete(np.arange(n), free)
    expected = by_numpy(around, tight, shift + pull)
    model = Gaussians(around).without(free)
    mean, variance, log_det = model.solve(tight[:, rest], model.pull(shift) + pull[:, rest])
    np.testing.assert_allclose(mean, expected[0][:, rest], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(variance, expected[1][:, rest], rtol=1e-6)
    np.testing.assert_allclose(log_det - log_det[0], expected[2] - expected[2][0], atol=1e-6)
    everybody, within = model.everybody(shift, mean, variance)
    np.testing.assert_allclose(everybody, expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(within[:, rest], variance)
    alone = np.linalg.inv(around[np.ix_(free, free)] + FREE * np.eye(len(free)))
    np.testing.assert_allclose(within[:, free], np.tile(alone.diagonal(), (4, 1)), rtol=1e-6)
    assert len(model) == n
    assert len(model.without([]).solve(tight, shift)[0][0]) == n


@pytest.mark.parametrize("free", [[], [0, 3]])
def test_what_rounding_leaves_indefinite_are_numbers_that_are_not_finite(free: list[int]) -> None:
    around = np.full((8, 8), 1e30)
    around[0, 1] = around[1, 0] = 2e30
    model = Gaussians(around, free)
    pull = model.pull(np.ones((1, 8)))
    for found in model.solve(np.ones(pull.shape), pull):
        assert not np.isfinite(found).any()


@pytest.mark.parametrize("n", [150, 250, 400])
def test_in_large_cohorts_means_are_exact_and_the_rest_close(n: int) -> None:
    around, tight, shift = drawn(n, n)
    model = Gaussians(around)
    mean, variance, log_det = model.solve(tight, shift)
    expected = by_numpy(around, tight, shift)
    # The error in the metric of the model itself, relative to the pull.
    for at in range(len(tight)):
        away = mean[at] - expected[0][at]
        energy = away @ (around + np.diag(tight[at])) @ away
        assert energy < 1e-5 * (shift[at] @ expected[0][at])
    assert np.abs(variance / expected[1] - 1.0).max() < 0.15
    assert np.abs(variance / expected[1] - 1.0).mean() < 0.03
    # In log-odds, as evidences are: what models differ by.
    np.testing.assert_allclose(log_det, expected[2], atol=0.1)


def test_who_is_in_no_group_and_unequal_company_are_no_hindrance() -> None:
    """Clients that were seen in half of the rounds only, and two that were never seen."""
    rng = np.random.default_rng(9)
    n = 200
    around = np.zeros((n, n))
    for at in range(16):
        invited = rng.permutation(n - 2 if at % 2 else n // 2)
        groups = [g.tolist() for g in np.array_split(invited, len(invited) // SIZE)]
        design = round_design(groups, n)
        around += 4.0 * design.T @ design
    tight = np.full((2, n), 1.0)
    tight[1, rng.permutation(n)[:20]] = 0.05
    model = Gaussians(around)
    mean, variance, log_det = model.solve(tight, rng.normal(size=(2, n)))
    expected = by_numpy(around, tight, np.zeros((2, n)))
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(variance, expected[1], rtol=0.2)
    # The common error says nothing: evidences are differences.
    error = log_det - expected[2]
    assert np.abs(error).max() < 0.03 * n
    assert np.ptp(error) < 0.5


@pytest.mark.parametrize(("n", "liars"), [(150, 0), (150, 15), (250, 20)])
def test_the_expansion_concludes_what_inversion_concludes(
    n: int, liars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n + liars)
    around = precision(n, 15, rng)
    truth = rng.normal(size=n)
    truth[:liars] += 9.0
    values, vectors = np.linalg.eigh(around)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shift = around @ truth + root @ rng.normal(size=n)
    grid, log_prior = PAIR_SPREADS.of(0)

    def concluded() -> Posterior:
        return examine(Gaussians(around), shift, grid[1:4:2], log_prior[1:4:2], USUAL, 0.0)

    expanded = concluded()
    monkeypatch.setattr(gaussian, "EXACT_UP_TO", n)
    exact = concluded()
    assert expanded.evidence == pytest.approx(exact.evidence, abs=0.5 + 0.05 * abs(exact.evidence))
    np.testing.assert_allclose(expanded.inclusion, exact.inclusion, atol=0.15)
    if liars:
        assert set(np.flatnonzero(expanded.inclusion > 0.9)) == set(range(liars))
    else:
        assert exact.evidence < 0.0
