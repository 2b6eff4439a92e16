"""Filters: the best signal to noise under the covariance that was learnt."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.confusion import (
    Against,
    Everything,
    LabelPair,
    dual_readout,
    label_pairs,
    learning_readings,
    read,
)

C = 6
SIZES = [[4] * 5] * 12


def opened(
    seed: int, *, skew: float = 0.0, attack: NDArray[np.float64] | None = None, strength: float = 0
) -> list[NDArray[np.float64]]:
    """Twelve rounds of five group means (5, C, C) around a common step; group 0 attacks.

    ``skew``: standard deviation of the diagonal beyond the rest's.
    """
    rng = np.random.default_rng(seed)
    means = []
    for at in range(12):
        step = (4.0 * np.eye(C) - 0.5) * 0.8**at
        noise = rng.normal(size=(5, C, C))
        noise[:, range(C), range(C)] += skew * rng.normal(size=(5, C))
        if attack is not None:
            noise[0] += strength * attack
        means.append((step + 0.3 * noise) * 0.5)
    return means


def pattern(reading: LabelPair | Everything) -> NDArray[np.float64]:
    found = np.zeros((C, C))
    sources = [s for s in range(C) if s != reading.target]
    if isinstance(reading, LabelPair):
        sources = [reading.source]
    for source in sources:
        found[reading.target, source], found[source, source] = 1.0, -1.0
    return found


@pytest.mark.parametrize("skew", [0.0, 6.0])
@pytest.mark.parametrize("reading", [LabelPair(4, 1), LabelPair(0, 5), Everything(2)])
def test_an_attack_stands_out_in_its_own_reading(
    skew: float, reading: LabelPair | Everything
) -> None:
    seen = read(opened(1, skew=skew, attack=pattern(reading), strength=5.0), SIZES, 0.1, 4.0)
    if isinstance(reading, LabelPair):
        column, values = label_pairs(C).index(reading), seen.pairs
    else:
        column, values = learning_readings(C).index(reading), seen.learning
    shown = np.array([value[0] for value in values]).mean(axis=0)
    assert int(np.argmax(shown)) == column
    assert shown[column] > 3.0
    others = np.array([value[1:, column] for value in values])
    assert abs(others.mean()) < shown[column] / 3.0


def test_the_diagonal_is_evidence_only_while_honest_clients_agree_on_it() -> None:
    """Less at (s, s) alone: read as an attack on s when data are dealt equally, and ignored when
    clients have unequally many samples."""
    less = np.zeros((C, C))
    less[1, 1] = -1.0
    column = label_pairs(C).index(LabelPair(4, 1))

    def shown(skew: float) -> float:
        seen = read(opened(2, skew=skew, attack=less, strength=5.0), SIZES, 0.1, 4.0)
        return float(np.mean([value[0, column] for value in seen.pairs]))

    assert shown(0.0) > 1.5
    assert abs(shown(8.0)) < 0.3 * shown(0.0)


def test_stepping_against_the_cohort_is_read_while_it_learns() -> None:
    rng = np.random.default_rng(3)
    means = []
    for at in range(12):
        step = (4.0 * np.eye(C) - 0.5) * 0.7**at
        signs = np.array([-1.0, 1.0, 1.0, 1.0, 1.0])[:, None, None]
        means.append(signs * step + 0.2 * rng.normal(size=(5, C, C)))
    seen = read(means, SIZES, 0.1, 4.0)
    column = learning_readings(C).index(Against())
    values = np.array([value[:, column] for value in seen.learning])
    assert (values[:4, 0] > values[:4, 1:].max(axis=1) + 3.0).all()
    assert seen.gains[0] > 3.0 * seen.gains[-1]
    assert np.mean(seen.gains**2) == pytest.approx(1.0)


def test_units_follow_the_statistics_as_they_shrink() -> None:
    means = opened(4)
    plain = read(means, SIZES, 0.1, 4.0)
    shrunk = read([mean * 0.5**at for at, mean in enumerate(means)], SIZES, 0.1, 4.0)
    for one, other in zip(plain.pairs, shrunk.pairs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    np.testing.assert_allclose(plain.gains, shrunk.gains, rtol=1e-9)


def test_still_statistics_read_as_nothing() -> None:
    seen = read([np.zeros((5, C, C))] * 12, SIZES, 0.1, 4.0)
    assert all(np.isfinite(value).all() for value in (*seen.pairs, *seen.learning))
    assert np.isfinite(seen.gains).all()
    assert max(np.abs(value).max() for value in seen.pairs) < 1e-6


def test_readings_name_their_attack() -> None:
    assert str(LabelPair(9, 4)) == "4 labelled 9"
    assert str(Everything(0)) == "everything labelled 0"
    assert "against" in str(Against())
    q = np.arange(C * C, dtype=float).reshape(C, C)
    assert LabelPair(2, 1).mass(q) == q[2, 1]
    assert LabelPair(2, 1).whole(q) == q[1, 1]
    assert LabelPair(2, 1).parts(3) == (LabelPair(2, 1),)
    assert Everything(2).parts(3) == (LabelPair(2, 0), LabelPair(2, 1))


def test_the_readout_tells_which_class_was_labelled_what() -> None:
    """Every sample that looks like b and is labelled a adds M[b] to row a of the change."""
    rng = np.random.default_rng(1)
    means = np.abs(rng.normal(size=(5, 12)))
    counts = rng.integers(0, 20, (5, 5))
    opened = counts @ means @ means.T
    np.testing.assert_allclose(opened @ dual_readout(means, ridge=0), counts, atol=1e-9)
    np.testing.assert_allclose(opened @ dual_readout(means, ridge=0.001), counts, atol=3)


def test_the_readout_is_the_ridge_dual_basis_and_its_ridge_follows_the_activations() -> None:
    means = np.random.default_rng(1).random((5, 12))
    moved = np.random.default_rng(2).normal(size=(5, 12))
    ridge = 0.1 * (means**2).sum() / 5
    dual_basis = np.linalg.inv(means @ means.T + ridge * np.eye(5)) @ means
    read = moved @ means.T @ dual_readout(means)
    np.testing.assert_allclose(read, moved @ dual_basis.T, rtol=1e-9)
    np.testing.assert_allclose(dual_readout(8 * means), dual_readout(means) / 64, rtol=1e-9)


def test_two_classes_give_finite_readings() -> None:
    rng = np.random.default_rng(3)
    means = [rng.normal(size=(5, 2, 2)) for _round in range(12)]
    found = read(means, SIZES, 0.1, 4.0)
    assert found.pairs[0].shape == (5, 2)
    assert all(np.isfinite(part).all() for part in (*found.pairs, *found.learning))
