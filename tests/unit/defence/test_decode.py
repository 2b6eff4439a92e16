from __future__ import annotations

import numpy as np
import pytest
from worlds import cohort

from auror.defence.decode import Design, client_leverage, decode, decode_each, inequality
from auror.defence.ledger import GroupObservation, RoundObservation

N = 12


def observed(
    rounds: int, size: int, noise: float, seed: int
) -> tuple[np.ndarray, list[list[list[int]]], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N, 40))
    groups, values = [], []
    for _ in range(rounds):
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), N // size)]
        level = rng.normal(size=40) * 5
        means = np.stack([truth[g].mean(axis=0) + level for g in split])
        means += noise * rng.normal(size=means.shape) / np.sqrt(size)
        groups.append(split)
        values.append(means * np.sqrt([[len(g)] for g in split]))
    return truth, groups, values


@pytest.mark.parametrize("size", [1, 3, 4, 6])
def test_individuals_come_back_from_group_sums(size: int) -> None:
    truth, groups, values = observed(40, size, 0.05, seed=size)
    estimate = decode(Design(groups, N).gather(values)).estimate
    centred = truth - truth.mean(axis=0)
    error = estimate - estimate.mean(axis=0) - centred
    assert np.sqrt(np.mean(error**2)) < 0.15


def test_one_round_cannot_tell_companions_apart() -> None:
    truth, groups, values = observed(1, 4, 0.05, seed=2)
    estimate = decode(Design(groups, N).gather(values)).estimate
    for group in groups[0]:
        assert np.ptp(estimate[group], axis=0).max() < 1e-9
    assert np.std(truth) > 0.5


def test_the_likelihood_is_that_of_the_model() -> None:
    """Λ and h against least squares written out, in units of the honest spread."""
    _, groups, values = observed(15, 3, 1.0, seed=3)
    decoded = decode(Design(groups, N).gather(values))
    tau, sigma2 = decoded.honest_spread, decoded.honest_spread**2 / decoded.ratio
    rows, seen = [], []
    for split, value in zip(groups, values, strict=True):
        root = np.sqrt([len(g) for g in split])
        design = np.array([[(i in g) / len(g) for i in range(N)] for g in split]) * root[:, None]
        level = root / np.linalg.norm(root)
        rows.append(design - np.outer(level, level @ design))
        seen.append(value - np.outer(level, level @ value))
    A, y = np.concatenate(rows), np.concatenate(seen)
    np.testing.assert_allclose(decoded.precision, A.T @ A * tau**2 / sigma2, atol=1e-9)
    np.testing.assert_allclose(decoded.shift, (A.T @ y * tau / sigma2).T, atol=1e-9)
    prior = np.linalg.solve(decoded.precision + np.eye(N), decoded.shift.T) * tau
    np.testing.assert_allclose(prior, decoded.estimate, atol=1e-9)


def test_common_levels_say_nothing() -> None:
    _, groups, values = observed(10, 4, 0.5, seed=4)
    decoded = decode(Design(groups, N).gather(values))
    np.testing.assert_allclose(decoded.precision @ np.ones(N), 0.0, atol=1e-9)
    lifted = [
        value + 7.0 * np.sqrt([[len(g)] for g in split])
        for split, value in zip(groups, values, strict=True)
    ]
    np.testing.assert_allclose(
        decode(Design(groups, N).gather(lifted)).shift, decoded.shift, atol=1e-8
    )


def test_a_round_that_speaks_louder_counts_for_more() -> None:
    """What clients bring grows with the gain: the decoded value is in units of gain 1."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(N, 60))
    gains = np.array([3.0] * 4 + [0.1] * 20)
    groups, values = [], []
    for gain in gains:
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), 4)]
        means = gain * np.stack([truth[g].mean(axis=0) for g in split])
        means += 0.5 * rng.normal(size=means.shape) / np.sqrt(3)
        groups.append(split)
        values.append(means * np.sqrt([[len(g)] for g in split]))
    centred = truth - truth.mean(axis=0)
    heard = decode(Design(groups, N, gains).gather(values)).estimate
    deaf = decode(Design(groups, N).gather(values)).estimate
    error = [np.sqrt(np.mean((e - e.mean(axis=0) - centred) ** 2)) for e in (heard, deaf)]
    assert error[0] < 0.5
    assert error[0] < 0.8 * error[1]


def each(
    noises: np.ndarray, spreads: np.ndarray, seed: int, rounds: int = 40
) -> tuple[list[list[list[int]]], list[np.ndarray]]:
    """Columns of unequal ``noises`` and of ``spreads`` in units of them, in groups of three."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N, len(noises))) * noises * spreads
    groups, values = [], []
    for _ in range(rounds):
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), 4)]
        means = np.stack([truth[g].mean(axis=0) for g in split])
        means += noises * rng.normal(size=means.shape) / np.sqrt(3)
        groups.append(split)
        values.append(means * np.sqrt(3))
    return groups, values


def test_each_column_has_a_noise_of_its_own() -> None:
    noises = np.exp(np.linspace(-1.0, 1.0, 15))
    groups, values = each(noises, np.full(15, 2.0), 6)
    evidence = Design(groups, N).gather(values)
    decoded = decode_each(evidence)
    np.testing.assert_allclose(decoded.noise, noises, rtol=0.25)
    np.testing.assert_array_equal(decoded.precision, evidence.design.gram)
    np.testing.assert_allclose(decoded.shift.T * decoded.noise, evidence.moment, atol=1e-9)
    # A single round leaves nothing beside the clients: the typical column's noise is each one's.
    few = decode_each(Design(groups[:1], N).gather(values[:1]))
    np.testing.assert_allclose(few.noise, few.noise[0])
    assert (few.noise > 0.0).all()


def test_the_likelihood_of_a_spread_is_that_of_the_model() -> None:
    """Against the Gaussian density of all sums written out, up to a constant."""
    groups, values = each(np.ones(6), np.array([0.3, 0.5, 1.0, 2.0, 4.0, 8.0]), 7)
    decoded = decode_each(Design(groups, N).gather(values))
    grid = np.array([0.2, 0.7, 1.0, 3.0, 9.0])
    found = decoded.spread_likelihood(grid)
    rows, seen = [], []
    for split, value in zip(groups, values, strict=True):
        root = np.sqrt([len(g) for g in split])
        level = root / np.linalg.norm(root)
        # An orthonormal basis of what is left when the level is out.
        left = np.linalg.svd(np.eye(4) - np.outer(level, level))[0][:, :3].T
        design = np.array([[(i in g) / len(g) for i in range(N)] for g in split]) * root[:, None]
        rows.append(left @ design)
        seen.append(left @ value)
    A, y = np.concatenate(rows), np.concatenate(seen) / decoded.noise
    for at, spread in enumerate(grid):
        covariance = np.eye(len(A)) + spread**2 * A @ A.T
        density = -0.5 * np.linalg.slogdet(covariance)[1]
        density = density - 0.5 * np.einsum("kc,kc->c", y, np.linalg.solve(covariance, y))
        if at == 0:
            base = density
        np.testing.assert_allclose(found[at] - found[0], density - base, atol=1e-6)
    best = np.exp(np.linspace(-2, 2.5, 60))
    likely = best[np.argmax(decoded.spread_likelihood(best), axis=0)]
    np.testing.assert_allclose(np.log(likely[2:]), np.log([1.0, 2.0, 4.0, 8.0]), atol=0.6)


def test_inequality_is_none_of_alike_columns_and_the_width_of_unequal_ones() -> None:
    for width in (0.0, 0.5, 1.0):
        scale = np.exp(width * np.random.default_rng(8).normal(size=400))
        groups, values = each(scale, np.full(400, 1e-3), 8)
        evidence = Design(groups, N).gather(values)
        assert inequality(evidence) == pytest.approx(width, abs=0.08)
        # A few attacked columns hardly move it.
        loud = [value * np.where(np.arange(400) < 20, 50.0, 1.0) for value in values]
        assert inequality(Design(groups, N).gather(loud)) == pytest.approx(width, abs=0.15)


def test_what_chance_makes_of_a_few_sums_is_no_inequality() -> None:
    for seed in range(3):
        groups, values = each(np.ones(400), np.full(400, 1e-3), seed)
        few = Design(groups[:4], N).gather(values[:4])
        by_chance = 1.0 / np.sqrt(2.0 * few.freedom)
        assert by_chance > 0.1
        assert inequality(few) < by_chance / 2.0


def test_leverage() -> None:
    groups = tuple(
        GroupObservation(cohort(N)[start : start + 4], np.zeros(1)) for start in range(0, N, 4)
    )
    one = [RoundObservation(0, 0, groups)]
    np.testing.assert_allclose(client_leverage(one, cohort(N)), 0.25)
    alone = RoundObservation(1, 0, (GroupObservation(cohort(N)[:3], np.zeros(1)),))
    leverage = client_leverage([*one, alone], cohort(N))
    assert leverage[3] == pytest.approx(1.0)
    assert client_leverage([], cohort(N)).tolist() == [0.0] * N
