"""Expectation propagation against sums over all assignments, and what it concludes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from auror.defence.decode import decode, gather
from auror.defence.spike_slab import HONEST, PAIR_SPREADS, PRIORS, SLABS, Spreads, examine, glance

Array = NDArray[np.float64]
SPREADS = Spreads((0.6, 1.6), 0.9, 0.5)


def likelihood(
    truth: Array, size: int, rounds: int, seed: int, noise: float = 0.5
) -> tuple[Array, Array]:
    """Λ and h of one column of interest among many honest ones."""
    rng = np.random.default_rng(seed)
    n = len(truth)
    columns = np.column_stack([truth, rng.normal(size=(n, 80))])
    groups, values = [], []
    for _ in range(rounds):
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(n), n // size)]
        means = np.stack([columns[g].mean(axis=0) for g in split])
        means += noise * rng.normal(size=means.shape) / np.sqrt(size)
        groups.append(split)
        values.append(means * np.sqrt([[len(g)] for g in split]))
    decoded = decode(gather(groups, values, n))
    return decoded.precision, decoded.shift[0]


def by_enumeration(precision: Array, shift: Array) -> tuple[float, Array]:
    """Evidence and inclusion (n,) from every assignment of clients to components."""
    n = len(shift)
    prior = -0.5 * (np.log(np.array(SPREADS.grid) / SPREADS.typical) / SPREADS.width) ** 2
    prior -= logsumexp(prior)
    alternatives = [(0.0, SLABS[0]), *((p, slab) for p in PRIORS for slab in SLABS)]
    nobody, somebody, included = [], [], []
    for s, log_s in zip(SPREADS.grid, prior, strict=True):
        for p, slab in alternatives:
            a, w = HONEST
            means = np.concatenate([np.zeros(len(a)), slab.means])
            variances = np.concatenate(
                [(s * a) ** 2, (slab.relative * np.asarray(slab.means)) ** 2 + s**2]
            )
            weights = np.concatenate([(1 - p) * w, np.full(len(slab.means), p / len(slab.means))])
            usable = range(len(a)) if p == 0.0 else range(len(weights))
            choice = np.array(list(itertools.product(usable, repeat=n)))
            m, v = means[choice], variances[choice]
            full = precision[None] + np.eye(n) / v[:, :, None]
            pull = shift + m / v
            log = np.log(weights[choice]).sum(axis=1) - 0.5 * np.log(v).sum(axis=1)
            log += -0.5 * np.linalg.slogdet(full)[1] - 0.5 * (m**2 / v).sum(axis=1)
            log += 0.5 * np.einsum("bi,bi->b", pull, np.linalg.solve(full, pull[..., None])[..., 0])
            total = float(logsumexp(log))
            if p == 0.0:
                nobody.append(total + log_s)
            else:
                somebody.append(total + log_s - np.log(len(alternatives) - 1))
                chance = np.exp(log - total)
                included.append((chance[:, None] * (choice >= len(a))).sum(axis=0))
    weight = np.exp(np.array(somebody) - logsumexp(somebody))
    return float(logsumexp(somebody) - logsumexp(nobody)), weight @ np.array(included)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("effect", [0.0, 6.0, 12.0])
def test_it_agrees_with_the_sum_over_all_assignments(size: int, effect: float) -> None:
    truth = np.array([0.3, -0.8, effect, 1.1, -0.4])
    precision, shift = likelihood(truth, size, 14, seed=size)
    found = examine(precision, shift, [], SPREADS)
    evidence, inclusion = by_enumeration(precision, shift)
    assert found.evidence == pytest.approx(evidence, abs=0.15 + 0.05 * abs(evidence))
    np.testing.assert_allclose(found.inclusion, inclusion, atol=0.06)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_attackers_of_unequal_strength_are_told_from_the_rest(size: int) -> None:
    rng = np.random.default_rng(size)
    truth = rng.normal(size=30)
    bad = [2, 9, 11, 20, 28]
    truth[bad] += [7.0, 8.0, 11.0, 16.0, 22.0]
    found = examine(*likelihood(truth, size, 30, seed=size), [], PAIR_SPREADS)
    assert found.evidence > 10.0
    assert set(np.flatnonzero(found.inclusion > 0.9)) == set(bad)
    assert (found.deviation > 0.0).all()
    # Honest spreads are the unit, and they are learnt: proportions hold, not numbers.
    assert np.corrcoef(found.effect[bad], truth[bad])[0, 1] > 0.98


def test_nobody_is_more_likely_when_nobody_stands_apart() -> None:
    for seed in range(10):
        truth = np.random.default_rng(seed).normal(size=30)
        found = examine(*likelihood(truth, 5, 20, seed), [], PAIR_SPREADS)
        assert found.evidence < 0.0


def test_a_lone_outlier_is_not_yet_an_attack() -> None:
    """Honest clients have heavy tails: one at four spreads is odd, not guilty."""
    truth = np.random.default_rng(1).normal(size=30)
    truth[7] = 4.0
    found = examine(*likelihood(truth, 3, 30, 1), [], PAIR_SPREADS)
    assert found.evidence - np.log(101) < 0.0


def test_a_free_client_says_nothing_about_the_others() -> None:
    truth = np.random.default_rng(2).normal(size=12)
    truth[4] = 30.0
    precision, shift = likelihood(truth, 3, 25, 2)
    tame = truth.copy()
    tame[4] = 0.0
    other_precision, other_shift = likelihood(tame, 3, 25, 2)
    with_it = examine(precision, shift, [4], SPREADS)
    without = examine(other_precision, other_shift, [4], SPREADS)
    others = np.arange(12) != 4
    np.testing.assert_allclose(with_it.inclusion[others], without.inclusion[others], atol=0.05)
    assert with_it.inclusion[4] == 0.0
    assert with_it.effect[4] > 20.0


def test_a_glance_ranks_readings_as_an_examination_does() -> None:
    rng = np.random.default_rng(3)
    n, bad = 30, [1, 5, 9, 13]
    columns = rng.normal(size=(n, 40))
    columns[bad, 17] += 8.0
    groups, values = [], []
    for _ in range(15):
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(n), 6)]
        means = np.stack([columns[g].mean(axis=0) for g in split])
        means += 0.3 * rng.normal(size=means.shape)
        groups.append(split)
        values.append(means * np.sqrt(5))
    decoded = decode(gather(groups, values, n))
    odds = glance(decoded.precision, decoded.shift, [])
    assert int(np.argmax(odds)) == 17
    assert odds[17] > 10.0
    assert np.sort(odds)[-2] < 0.0
    after = glance(decoded.precision, decoded.shift, bad)
    assert after[17] < 0.0
