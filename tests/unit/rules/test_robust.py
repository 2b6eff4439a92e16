"""The published rules against byzfl and against the papers' formulas written as plain loops."""

from __future__ import annotations

import byzfl
import numpy as np
import pytest
from numpy.typing import NDArray

from auror.rules.choice import RULES, choose_rule
from auror.rules.robust import (
    AggregationRule,
    FoolsGold,
    fltrust,
    foolsgold_weights,
    geometric_median,
    mean,
    median,
    multi_krum,
    trimmed_mean,
)

N, D, F = 15, 40, 4


def made(name: str, malicious: int) -> AggregationRule:
    rule = choose_rule(name)
    assert rule is not None
    return rule.begin(malicious)


def updates(seed: int) -> NDArray[np.float32]:
    """Eleven alike, four far off."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(N, D)) + 1.0
    drawn[:F] += rng.normal(size=D) * 5.0
    return drawn.astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_byzfl(seed: int) -> None:
    x = updates(seed)
    pairs = [
        (mean(x), byzfl.Average()),
        (median(x), byzfl.Median()),
        (trimmed_mean(F)(x, None), byzfl.TrMean(F)),
        (geometric_median(500, 1e-9)(x, None), byzfl.GeometricMedian(nu=1e-9, T=500)),
        # ByzFL counts one neighbour more than the paper.
        (multi_krum(F, chosen=1, neighbours=N - F - 1)(x, None), byzfl.Krum(F)),
        (multi_krum(F, neighbours=N - F - 1)(x, None), byzfl.MultiKrum(F)),
    ]
    for ours, oracle in pairs:
        np.testing.assert_allclose(ours.change, oracle(x.astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_krum_as_the_paper_counts(seed: int) -> None:
    x = updates(seed).astype(np.float64)
    scores = []
    for i in range(N):
        distances = sorted(float(((x[i] - x[j]) ** 2).sum()) for j in range(N) if j != i)
        scores.append(sum(distances[: N - F - 2]))
    chosen = multi_krum(F, chosen=1)(updates(seed), None)
    np.testing.assert_allclose(chosen.change, x[int(np.argmin(scores))])
    rejected = multi_krum(F)(updates(seed), None).rejected
    assert rejected is not None
    assert set(np.flatnonzero(rejected).tolist()) == set(np.argsort(scores)[-F:].tolist())


def test_the_rules_that_select_leave_out_the_far_ones() -> None:
    rejected = multi_krum(F)(updates(1), None).rejected
    assert rejected is not None
    assert np.flatnonzero(rejected).tolist() == list(range(F))


def test_foolsgold_by_loops() -> None:
    rng = np.random.default_rng(3)
    history = rng.normal(size=(6, D))
    history[4] = history[5] + 0.05 * rng.normal(size=D)  # two sybils
    n = len(history)
    cs = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                norms = np.linalg.norm(history[i]) * np.linalg.norm(history[j])
                cs[i, j] = history[i] @ history[j] / norms
    v = cs.max(axis=1)
    for i in range(n):
        for j in range(n):
            if v[j] > v[i]:
                cs[i, j] *= v[i] / v[j]
    wv = np.clip(1 - cs.max(axis=1), 0, 1)
    wv = np.clip(wv / wv.max(), 1e-12, 0.99)
    expected = np.clip(np.log(wv / (1 - wv)) + 0.5, 0, 1)
    np.testing.assert_allclose(foolsgold_weights(history), expected, atol=1e-9)
    assert expected[4] == expected[5] == 0
    assert (expected[:4] > 0.5).all()


def test_foolsgold_remembers() -> None:
    rng = np.random.default_rng(4)
    rounds = rng.normal(size=(2, 6, D)).astype(np.float32)
    rule = FoolsGold()
    rule(rounds[0], None)
    second = rule(rounds[1], None).weights
    expected = foolsgold_weights(rounds.astype(np.float64).sum(axis=0))
    assert second is not None
    np.testing.assert_allclose(second, expected / expected.max())


def test_fltrust_ignores_who_points_away_and_forgets_norms() -> None:
    root = np.zeros(D, dtype=np.float32)
    root[0] = 2.0
    x = np.zeros((3, D), dtype=np.float32)
    x[0, 0], x[1, 0], x[2, :2] = 100.0, -50.0, 1.0
    found = fltrust(x, root)
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, [1.0, 0.0, np.sqrt(0.5)], atol=1e-6)
    half = np.sqrt(0.5)
    expected = (np.array([2.0, 0.0]) + half * 2.0 * np.array([half, half])) / (1.0 + half)
    np.testing.assert_allclose(found.change[:2], expected, atol=1e-6)
    with pytest.raises(ValueError, match="clean samples"):
        fltrust(x, None)


@pytest.mark.parametrize("name", ["krum", "multi-krum", "trimmed-mean"])
def test_half_malicious_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no majority"):
        made(name, 8)(updates(0), None)


@pytest.mark.parametrize("name", sorted(RULES))
def test_equal_updates_come_back_unchanged(name: str) -> None:
    same = np.tile(np.arange(1, D + 1, dtype=np.float32), (N, 1))
    change = made(name, F)(same, same[0]).change
    if name == "foolsgold":  # all alike: all are taken for sybils
        assert np.abs(change).max() == 0
    else:
        np.testing.assert_allclose(change, same[0], rtol=1e-6)
