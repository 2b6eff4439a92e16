"""A class's honest spread, as the other classes predict it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auror.defence.decode import Design, EachDecoded, decode_each
from auror.defence.spreads import FEWEST, GRID, ClassSpreads, predict

Array = NDArray[np.float64]
N, ROUNDS = 30, 20


def decoded(spreads: Array, seed: int, extra: Array | None = None) -> EachDecoded:
    """Classes whose honest clients differ by ``spreads`` (C,) in units of a round's noise;
    ``extra`` (n, C): what liars add."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N, len(spreads))) * spreads
    if extra is not None:
        truth = truth + extra
    groups, values = [], []
    for _ in range(ROUNDS):
        split = [sorted(g.tolist()) for g in np.array_split(rng.permutation(N), N // 5)]
        means = np.stack([truth[g].mean(axis=0) for g in split])
        means += rng.normal(size=means.shape) / np.sqrt(5)
        groups.append(split)
        values.append(means * np.sqrt([[len(g)] for g in split]))
    return decode_each(Design(groups, N).gather(values))


def middle(found: ClassSpreads) -> Array:
    """Mean of log τ under every class's prior, (C,)."""
    mean: Array = np.exp(found.log_prior) @ np.log(GRID)
    return mean


def width(found: ClassSpreads) -> Array:
    away = np.log(GRID)[None, :] - middle(found)[:, None]
    deviation: Array = np.sqrt(np.sum(np.exp(found.log_prior) * away**2, axis=1))
    return deviation


def unequal(classes: int, seed: int) -> tuple[Array, Array]:
    """Spreads, and one feature that tells them up to a little."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(0.0, 0.7, classes)
    return np.exp(logs), (2.0 * logs + 0.1 * rng.normal(size=classes))[:, None]


def liars(column: int, classes: int, by: float) -> Array:
    extra = np.zeros((N, classes))
    extra[:9, column] = by
    return extra


def test_priors_sum_to_one_and_spreads_lie_on_the_grid() -> None:
    spreads, known = unequal(12, 1)
    found = predict(decoded(spreads, 1), known)
    assert found.log_prior.shape == (12, len(GRID))
    np.testing.assert_allclose(np.exp(found.log_prior).sum(axis=1), 1.0)
    assert set(found.typical) <= set(GRID)
    assert set(found.expected) <= set(GRID)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_of_classes_predicts_their_spreads(seed: int) -> None:
    spreads, known = unequal(43, seed)
    found = predict(decoded(spreads, seed), known)
    assert np.corrcoef(middle(found), np.log(spreads))[0, 1] > 0.9
    blind = predict(decoded(spreads, seed), np.zeros((43, 1)))
    assert np.corrcoef(middle(blind), np.log(spreads))[0, 1] < 0.7
    assert np.median(width(blind)) > 1.5 * np.median(width(found))


@pytest.mark.parametrize("classes", [FEWEST, 10, 43])
def test_an_attacked_class_does_not_explain_itself_away(classes: int) -> None:
    """Nine liars make one class broad: its own prior stays where it was, its likelihood moves."""
    spreads, known = unequal(classes, 3)
    column = int(np.argsort(spreads)[classes // 2])
    extra = liars(column, classes, 12.0 * spreads[column])
    honest, attacked = (predict(decoded(spreads, 3, e), known) for e in (None, extra))
    np.testing.assert_allclose(
        honest.log_prior[column], attacked.log_prior[column], atol=0.5 if classes == 43 else 1.0
    )
    assert attacked.expected[column] < 2.0 * spreads[column]
    assert attacked.typical[column] >= attacked.expected[column]


def test_its_prior_does_not_depend_on_its_own_sums_at_all() -> None:
    """Features and noise as they were: only the sums of the class under suspicion change."""
    spreads, known = unequal(43, 5)
    one = decoded(spreads, 5)
    seen = one.seen.copy()
    seen[:, 7] *= 8.0
    other = EachDecoded(one.precision, one.shift, one.noise, one.eigenvalues, seen)
    before, after = (predict(d, known) for d in (one, other))
    # The prior over the grid is learnt over all classes, 1/43 of it from this one.
    np.testing.assert_allclose(np.exp(before.log_prior[7]), np.exp(after.log_prior[7]), atol=0.02)
    assert after.typical[7] > 1.5 * before.typical[7]


def test_an_attacked_class_does_not_widen_what_is_believed_of_the_others() -> None:
    spreads, known = unequal(43, 6)
    extra = liars(4, 43, 40.0 * spreads[4])
    honest, attacked = (predict(decoded(spreads, 6, e), known) for e in (None, extra))
    others = np.arange(43) != 4
    assert np.abs(middle(attacked) - middle(honest))[others].max() < 0.1
    assert (width(attacked) / width(honest))[others].max() < 1.1


def test_alike_classes_are_predicted_narrowly_and_unpredictable_ones_widely() -> None:
    rng = np.random.default_rng(7)
    alike = predict(decoded(np.full(43, 1.5), 7), rng.normal(size=(43, 2)))
    odd = predict(decoded(np.exp(rng.normal(0.0, 0.8, 43)), 7), rng.normal(size=(43, 2)))
    assert np.abs(middle(alike) - np.log(1.5)).max() < 0.3
    assert np.median(width(alike)) < 0.35
    assert np.median(width(odd)) > 2.0 * np.median(width(alike))
