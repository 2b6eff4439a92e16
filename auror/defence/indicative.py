"""Two clusters on one line, and which features have their centres far apart.

In one dimension 2-means has an exact answer (the best of n − 1 cuts of the sorted values), so
nothing here depends on a starting point or a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The best cut of every feature.

    ``low``, ``high`` (features,): the two centres. ``in_high`` (clients, features): bool.
    ``smaller`` (clients, features): bool, members of the cluster with fewer clients; nobody
    when both are equally large.
    """

    low: Array
    high: Array
    in_high: NDArray[np.bool_]
    smaller: NDArray[np.bool_]

    @property
    def distance(self) -> Array:
        """Distance of the centres, shape (features,), in the features' units."""
        return self.high - self.low


def two_means(values: Array) -> Split:
    """Exact 2-means of every column of ``values`` (clients, features), at least two clients.

    Equal values are never cut apart; a constant column has distance 0 and no smaller cluster.
    Raises ValueError on fewer than two clients.
    """
    n = values.shape[0]
    if n < 2:
        raise ValueError("two clusters need at least two clients")
    ordered = np.sort(values, axis=0)
    # Cut on deviations from the mean: large common offsets would cost all precision.
    centre = ordered.mean(axis=0)
    running = np.cumsum(ordered - centre, axis=0)[:-1]
    left = np.arange(1, n, dtype=np.float64)[:, None]
    between = running**2 * (n / (left * (n - left)))
    between = np.where(ordered[1:] > ordered[:-1], between, 0.0)
    cut = np.argmax(between, axis=0)
    pick = np.arange(values.shape[1])
    constant = between[cut, pick] <= 0.0
    in_high = (values > ordered[cut, pick]) & ~constant
    count = in_high.sum(axis=0)
    low = centre + np.where(constant, 0.0, running[cut, pick] / (cut + 1))
    high = centre - np.where(constant, 0.0, running[cut, pick] / (n - cut - 1))
    smaller = np.where(2 * count < n, in_high, ~in_high) & (2 * count != n) & ~constant
    return Split(low, high, in_high, smaller)


def indicative_features(distances: Array, alpha: float) -> NDArray[np.bool_]:
    """Features whose centres are further apart than ``alpha`` (AUROR, section 4), (features,).

    ``distances`` (rounds, features): what ``Split.distance`` was in each observed round.
    """
    return np.asarray(distances.mean(axis=0) > alpha)
