"""Expectation propagation against sums over all assignments, and what it concludes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from auror.defence import spike_slab
from auror.defence.blocks import PAIR_SPREADS, AlikeSpreads
from auror.defence.decode import Design, decode
from auror.defence.gaussian import Gaussians
from auror.defence.spike_slab import (
    ODD,
    PRIORS,
    SLABS,
    USUAL,
    Posterior,
    examine,
    glance,
    learn_tails,
)

Array = NDArray[np.float64]
SPREADS = AlikeSpreads((0.6, 1.6), 0.9, 0.5)


def looked_at(
    likelihood: tuple[Array, Array],
    free: list[int],
    spreads: AlikeSpreads = PAIR_SPREADS,
    tails: Array = USUAL,
    least: float = 0.0,
) -> Posterior:
    grid, log_prior = spreads.of(0)
    around, shift = likelihood
    return examine(Gaussians(around, free), shift, grid, log_prior, tails, least)


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
    decoded = decode(Design(groups, n).gather(values))
    return decoded.precision, decoded.shift[0]


def by_enumeration(precision: Array, shift: Array) -> tuple[float, Array]:
    """Evidence and inclusion (n,) from every assignment of clients to components."""
    n = len(shift)
    grid, prior = SPREADS.of(0)
    assert np.exp(prior).sum() == pytest.approx(1.0)
    alternatives = [(0.0, SLABS[0]), *((p, slab) for p in PRIORS for slab in SLABS)]
    nobody, somebody, included = [], [], []
    for s, log_s in zip(grid, prior, strict=True):
        for p, slab in alternatives:
            a, w = ODD, USUAL
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
    found = looked_at((precision, shift), [], SPREADS)
    evidence, inclusion = by_enumeration(precision, shift)
    assert found.evidence == pytest.approx(evidence, abs=0.15 + 0.08 * abs(evidence))
    np.testing.assert_allclose(found.inclusion, inclusion, atol=0.06)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_attackers_of_unequal_strength_are_told_from_the_rest(size: int) -> None:
    rng = np.random.default_rng(size)
    truth = rng.normal(size=30)
    bad = [2, 9, 11, 20, 28]
    truth[bad] += [7.0, 8.0, 11.0, 16.0, 22.0]
    found = looked_at(likelihood(truth, size, 30, seed=size), [])
    assert found.evidence > 10.0
    assert set(np.flatnonzero(found.inclusion > 0.9)) == set(bad)
    assert (found.deviation > 0.0).all()
    # Honest spreads are the unit, and they are learnt: proportions hold, not numbers.
    assert np.corrcoef(found.effect[bad], truth[bad])[0, 1] > 0.98


def test_nobody_is_more_likely_when_nobody_stands_apart() -> None:
    for seed in range(10):
        truth = np.random.default_rng(seed).normal(size=30)
        found = looked_at(likelihood(truth, 5, 20, seed), [])
        assert found.evidence < 0.0


def test_a_lone_outlier_is_not_yet_an_attack() -> None:
    """Honest clients have heavy tails: one at four spreads is odd, not guilty."""
    truth = np.random.default_rng(1).normal(size=30)
    truth[7] = 4.0
    found = looked_at(likelihood(truth, 3, 30, 1), [])
    assert found.evidence - np.log(101) < 0.0


def test_a_free_client_says_nothing_about_the_others() -> None:
    truth = np.random.default_rng(2).normal(size=12)
    truth[4] = 30.0
    precision, shift = likelihood(truth, 3, 25, 2)
    tame = truth.copy()
    tame[4] = 0.0
    other_precision, other_shift = likelihood(tame, 3, 25, 2)
    with_it = looked_at((precision, shift), [4], SPREADS)
    without = looked_at((other_precision, other_shift), [4], SPREADS)
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
    decoded = decode(Design(groups, n).gather(values))
    around, ones = Gaussians(decoded.precision), np.ones(40)
    odds = glance(around, decoded.shift, ones, USUAL)
    assert int(np.argmax(odds)) == 17
    assert odds[17] > 6.0
    assert np.sort(odds)[-2] < 0.0
    after = glance(around.without(bad), decoded.shift, ones, USUAL)
    assert after[17] < 0.0
    full = looked_at((decoded.precision, decoded.shift[17]), [])
    assert full.evidence == pytest.approx(odds[17], abs=0.4 * full.evidence)


def test_a_glance_at_many_readings_at_once_is_a_glance_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    precision, shift = likelihood(np.random.default_rng(4).normal(size=12), 3, 10, 4)
    shifts = shift + np.random.default_rng(5).normal(size=(9, 12))
    around, spreads = Gaussians(precision, [2]), np.ones(9)
    whole = glance(around, shifts, spreads, USUAL)
    monkeypatch.setattr(spike_slab, "_AT_ONCE", 1)
    np.testing.assert_allclose(glance(around, shifts, spreads, USUAL), whole)


def heavy(seed: int, n: int, odd: Array) -> tuple[Gaussians, Array]:
    """Λ and h (40, n) of readings in which clients are known to a tenth of a spread; ``odd``: the
    weights of deviations ``ODD``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, n)) * rng.choice(ODD, p=odd, size=(40, n))
    precision = 100.0 * (np.eye(n) - 1.0 / n)
    return Gaussians(precision), (x + 0.1 * rng.normal(size=x.shape)) @ precision


@pytest.mark.parametrize("odd", [(1.0, 0.0, 0.0, 0.0), (0.6, 0.2, 0.15, 0.05)])
def test_tails_are_learnt_from_other_readings(odd: tuple[float, ...]) -> None:
    weights = learn_tails(*heavy(1, 40, np.array(odd)), np.ones(40))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0.0).all()
    far = np.sum(weights * (ODD >= 3.0))
    usual = np.sum(USUAL * (ODD >= 3.0))
    if odd[0] == 1.0:
        assert far < usual
    else:
        assert far > 4.0 * usual


def test_without_readings_the_usual_tails_are_believed_and_a_few_move_them_little() -> None:
    around, shifts = heavy(2, 40, np.array([0.6, 0.2, 0.15, 0.05]))
    np.testing.assert_array_equal(learn_tails(around, shifts[:0], np.ones(0)), USUAL)
    one, all_ = (learn_tails(around, shifts[:k], np.ones(k)) for k in (1, 40))
    assert np.abs(one - USUAL).sum() < np.abs(all_ - USUAL).sum()


def test_free_clients_teach_no_tails() -> None:
    around, shifts = heavy(3, 40, np.array([1.0, 0.0, 0.0, 0.0]))
    loud = shifts + 12.0 * np.where(np.arange(40) < 4, 1.0, 0.0) @ around.precision
    taught, without = (
        learn_tails(around.without(free), loud, np.ones(40)) for free in ([], [0, 1, 2, 3])
    )
    assert taught[-1] > 0.03
    assert without[-1] < 0.005


def test_with_heavy_tails_one_odd_client_is_no_evidence() -> None:
    truth = np.random.default_rng(6).normal(size=30)
    truth[7] = 8.0
    seen = likelihood(truth, 3, 30, 6)
    light = looked_at(seen, [])
    heavier = looked_at(seen, [], tails=np.array([0.6, 0.2, 0.15, 0.05]))
    assert light.evidence > 0.5
    assert heavier.evidence < 0.0
    assert heavier.inclusion[7] < light.inclusion[7]


def test_the_mean_of_the_odds_is_at_most_one_when_nobody_lies() -> None:
    """They are a ratio of marginal likelihoods: under the model's own null they average to one,
    so odds of 1/alpha come up in at most alpha of all cases (Markov)."""
    rng = np.random.default_rng(7)
    n, cases = 12, 400
    precision = 4.0 * (np.eye(n) - 1.0 / n)
    grid, log_prior = SPREADS.of(0)
    root = 2.0 * (np.eye(n) - 1.0 / n)  # of the precision
    odds = []
    for _ in range(cases):
        s = rng.choice(grid, p=np.exp(log_prior))
        x = s * rng.choice(ODD, p=USUAL, size=n) * rng.normal(size=n)
        shift = precision @ x + root @ rng.normal(size=n)
        odds.append(looked_at((precision, shift), [], SPREADS).evidence)
    for alpha in (0.3, 0.1, 0.03):
        assert np.mean(np.array(odds) >= np.log(1.0 / alpha)) <= alpha
    assert np.mean(np.exp(np.minimum(odds, 10.0))) < 2.0
    assert np.max(odds) > np.log(2.0)  # and they are not all nothing
