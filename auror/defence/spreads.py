"""How much honest clients differ in one class, predicted from the other classes.

Classes are unequal: a sign of which a client has five samples differs more between honest clients
than one of which it has fifty. Whether "nine clients lie about this class" or "this class is a
broad one" cannot be read off the class itself. But what the server knows of a class before it
looks at clients (its noise, how far its output moves, how long its features are) predicts the
spread: ridge regression over the *other* classes, for the one under suspicion must not explain
itself away. What the prediction leaves open is the width of the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.decode import MEDIAN_TO_DEVIATION, EachDecoded

Array = NDArray[np.float64]

GRID = np.exp(np.linspace(np.log(0.12), np.log(9.0), 13))
"""Honest spreads in units of a round's noise, on which everything is summed."""
FEWEST = 6
"""Classes below which there is nothing to learn from: a spread is then taken from ``SHARES``."""
SHARES = np.exp(np.linspace(np.log(0.1), np.log(0.5), 5))
"""Honest spreads of a pair of few classes, in parts of what the cohort learns of the source in its
best round. Honest clients differ: some hold many of the source, some samples that look like the
target. Where nobody lies their deviation was 0.01 to 0.46 (MNIST and digits, 15 and 30 clients,
equally dealt and Dirichlet 1.0, seeds 101 to 103); those who lie are 0.3 to 10 away. Less than a
tenth is not told apart: once gradients are left of odd samples alone, four honest clients of 30
stood out at log-odds of 9.9 with a tenth each."""
_RIDGE = 2.0
_FREEDOM = 5.0  # of the Student distribution around the prediction
_PRIOR_WIDTH, _PRIOR_COUNT = 0.2, 4.0  # width of the residuals before any is seen, in classes
_WITHIN = 0.1  # least uncertainty of one class's own logarithm
_ODD = 4.0  # robust deviations beyond which a class is left out of the fit
_KEPT = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class ClassSpreads:
    """``log_prior`` (C, points of ``GRID``): of every class's own spread, learnt without it;
    ``likelihood`` (points, C): what its own sums say of it.
    ``typical`` (C,): the most likely spread of each, prior and own sums together; ``expected``
    (C,): by the prior alone."""

    log_prior: Array
    likelihood: Array
    typical: Array
    expected: Array


def predict(decoded: EachDecoded, known: Array) -> ClassSpreads:
    """Fit every class's spread from the others.

    Args:
        decoded: one column per class.
        known: (C, features), what is known of each (``confusion.Readings.classes``).
    """
    likelihood = decoded.spread_likelihood(GRID)
    features = _standardised(np.column_stack([known, 2.0 * np.log(decoded.noise)]))
    logs = _believed(likelihood)
    prior = np.stack([_prior(logs, features, one) for one in range(len(logs))])
    own = GRID[np.argmax(prior + likelihood.T, axis=1)]
    return ClassSpreads(prior, likelihood, own, GRID[np.argmax(prior, axis=1)])


def _believed(likelihood: Array) -> Array:
    """Posterior mean of log τ per class (C,), the prior over the grid learnt over all classes."""
    flat = np.full(len(GRID), 1.0 / len(GRID))
    shown = np.exp(likelihood - likelihood.max(axis=0))
    weight = flat
    part = shown
    for _ in range(15):
        part = shown * weight[:, None]
        part = part / part.sum(axis=0)
        weight = 0.8 * part.mean(axis=1) + 0.2 * flat
    believed: Array = np.log(GRID) @ part
    return believed


def _standardised(features: Array) -> Array:
    centred = features - features.mean(axis=0)
    standardised: Array = centred / (features.std(axis=0) + 1e-9)
    return standardised


def _prior(logs: Array, features: Array, without: int) -> Array:
    """Log prior of one class's spread on the grid, sums to one."""
    kept = np.ones(len(logs), dtype=bool)
    kept[without] = False
    predicted, left = _fit(logs, features, kept)
    scale = MEDIAN_TO_DEVIATION * float(np.median(np.abs(left))) + 1e-3
    odd = np.flatnonzero(kept)[left > _ODD * scale]
    if len(odd) and kept.sum() - len(odd) >= max(FEWEST - 1, _KEPT * len(logs)):
        kept[odd] = False
        predicted, left = _fit(logs, features, kept)
    own = (float(np.sum(left**2)) + _PRIOR_COUNT * _PRIOR_WIDTH**2) / (len(left) + _PRIOR_COUNT)
    width = np.sqrt(own + _WITHIN**2)
    away = (np.log(GRID) - predicted[without]) / width
    log = -(_FREEDOM + 1.0) / 2.0 * np.log1p(away**2 / _FREEDOM)
    normalised: Array = log - np.log(np.sum(np.exp(log)))
    return normalised


def _fit(logs: Array, features: Array, kept: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Prediction for all classes, and the kept ones' leave-one-out residuals."""
    design = np.column_stack([np.ones(len(logs)), features])
    penalty = _RIDGE * np.diag([0.0] + [1.0] * features.shape[1])
    rows = design[kept]
    solver = np.linalg.solve(rows.T @ rows + penalty, rows.T)
    leverage = np.einsum("ij,ji->i", rows, solver)
    residual = (logs[kept] - rows @ (solver @ logs[kept])) / np.maximum(1.0 - leverage, 0.2)
    return design @ (solver @ logs[kept]), residual
