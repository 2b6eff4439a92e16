from __future__ import annotations

import numpy as np
import pytest
from worlds import cohort

from auror.defence.decode import client_leverage, decode, gather
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
    estimate = decode(gather(groups, values, N)).estimate
    centred = truth - truth.mean(axis=0)
    error = estimate - estimate.mean(axis=0) - centred
    assert np.sqrt(np.mean(error**2)) < 0.15


def test_one_round_cannot_tell_companions_apart() -> None:
    truth, groups, values = observed(1, 4, 0.05, seed=2)
    estimate = decode(gather(groups, values, N)).estimate
    for group in groups[0]:
        assert np.ptp(estimate[group], axis=0).max() < 1e-9
    assert np.std(truth) > 0.5


def test_the_likelihood_is_that_of_the_model() -> None:
    """Λ and h against least squares written out, in units of the honest spread."""
    _, groups, values = observed(15, 3, 1.0, seed=3)
    decoded = decode(gather(groups, values, N))
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
    decoded = decode(gather(groups, values, N))
    np.testing.assert_allclose(decoded.precision @ np.ones(N), 0.0, atol=1e-9)
    lifted = [
        value + 7.0 * np.sqrt([[len(g)] for g in split])
        for split, value in zip(groups, values, strict=True)
    ]
    np.testing.assert_allclose(decode(gather(groups, lifted, N)).shift, decoded.shift, atol=1e-8)


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
    heard = decode(gather(groups, values, N, gains)).estimate
    deaf = decode(gather(groups, values, N)).estimate
    error = [np.sqrt(np.mean((e - e.mean(axis=0) - centred) ** 2)) for e in (heard, deaf)]
    assert error[0] < 0.5
    assert error[0] < 0.8 * error[1]


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
