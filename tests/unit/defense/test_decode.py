from __future__ import annotations

import numpy as np
import pytest

from auror.defense.decode import client_leverage, decode, gather, sweep
from auror.defense.ledger import GroupObservation, RoundObservation
from tests.unit.defense.worlds import cohort

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


def test_whitened_scores_are_standard_normal() -> None:
    rng = np.random.default_rng(3)
    z = []
    for seed in range(30):
        _, groups, values = observed(15, 3, 1.0, seed=100 + seed)
        decoded = decode(gather(groups, values, N))
        direction = rng.integers(0, 2, N).astype(float)
        direction[:2] = (0.0, 1.0)
        z.append(direction @ decoded.score / np.sqrt(direction @ decoded.information @ direction))
    assert abs(np.mean(z)) < 0.1
    assert np.std(z) == pytest.approx(1.0, abs=0.08)


def test_sweeping_a_client_removes_all_its_influence() -> None:
    _, groups, values = observed(20, 3, 0.3, seed=4)
    before = sweep(decode(gather(groups, values, N)), [5])
    moved = []
    for split, value in zip(groups, values, strict=True):
        held = np.array([[5 in g] for g in split], dtype=float)
        moved.append(value + 100.0 * held / np.sqrt([[len(g)] for g in split]))
    plain = decode(gather(groups, values, N))
    # Same variances, another effect of client 5: what is left about the others is the same.
    shifted = gather(groups, moved, N)
    delta = shifted.moment - gather(groups, values, N).moment
    assert np.abs(delta).max() > 1.0
    F = plain.information
    ratio, tau2 = plain.ratio, plain.honest_spread**2
    sigma2 = tau2 / ratio
    gram = shifted.gram
    solve = np.linalg.inv(np.eye(N) + ratio * gram) / sigma2
    np.testing.assert_allclose(solve @ gram, F, atol=1e-8)
    score = solve @ shifted.moment
    others = [i for i in range(N) if i != 5]
    swept = score[others] - np.outer(F[others, 5] / F[5, 5], score[5])
    np.testing.assert_allclose(swept, before.score[others], atol=1e-6)


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
