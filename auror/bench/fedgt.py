"""FedGT: group testing for malicious clients (Xhemrishi, Östman, Wachter-Zeh, Graell i Amat,
IEEE TIFS 2025), in its setting of 15 clients, to compare with.

Fifteen clients form eight overlapping groups of four, the rows of a parity-check matrix of the
BCH(15, 7) code: row k has ones at k + {0, 1, 3, 7}. In one round the server sees each group's
whole mean update, applies it to the model, and tests it on 100 validation samples: a group is
positive when its recall of the attacked class is below 0.96 of the best group's. Clients follow
from the tests by their posterior odds. The authors compute those on a trellis; with 2^15
possible sets they are summed here exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]

CLIENTS = 15
TESTS = 8
_TAPS = (0, 1, 3, 7)


def group_matrix() -> Bits:
    """Who sits in which group, (8, 15)."""
    matrix = np.zeros((TESTS, CLIENTS), dtype=bool)
    for row in range(TESTS):
        matrix[row, [row + tap for tap in _TAPS]] = True
    return matrix


@dataclass(frozen=True, slots=True)
class FedGTParams:
    """As in the authors' configuration for MNIST; ``threshold`` on the log-odds for "honest" lies
    in the middle of the range 0.1 … 0.9 that they sweep."""

    prevalence: float = 2 / 15
    false_alarm: float = 0.05
    missed: float = 0.05
    share_of_best: float = 0.96
    threshold: float = 0.5
    test_round: int = 3
    """Index of the round, from 0, in which the groups are tested."""


def positive_tests(quality: Array, params: FedGTParams) -> Bits:
    """Groups whose quality (8,), a recall in [0, 1], is too far below the best one's."""
    low: Bits = quality < params.share_of_best * quality.max()
    return low


def log_odds(tests: Bits, params: FedGTParams, groups: Bits | None = None) -> Array:
    """log P(honest | tests) − log P(malicious | tests) of every client, (n,), exact."""
    matrix = group_matrix() if groups is None else groups
    n = matrix.shape[1]
    sets = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    hit = sets @ matrix.T.astype(np.int64) > 0
    chance = np.where(hit, 1.0 - params.missed, params.false_alarm)
    likelihood = np.where(tests, chance, 1.0 - chance).prod(axis=1)
    size = sets.sum(axis=1)
    weight = likelihood * params.prevalence**size * (1.0 - params.prevalence) ** (n - size)
    malicious = weight @ sets
    odds: Array = np.log(weight.sum() - malicious) - np.log(malicious)
    return odds


def flagged(tests: Bits, params: FedGTParams) -> Bits:
    """Clients (15,) that FedGT excludes; nobody when it would exclude all."""
    found: Bits = log_odds(tests, params) < params.threshold
    return found & (not found.all())
