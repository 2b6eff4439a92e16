"""FedGT: group testing for malicious clients (Xhemrishi, Östman, Wachter-Zeh, Graell i Amat,
IEEE TIFS 2025) as its authors released it (github.com/johanos1/FedGT, commit c078b57), in its
setting of 15 clients, to compare with.

Fifteen clients form eight overlapping groups of four, the rows of a parity-check matrix of the
BCH(15, 7) code: row k has ones at k + {0, 1, 3, 7}. In one round the server sees each group's
whole mean update. Two numbers of a group are clustered: what its model recalls of the attacked
class on validation samples, and the first principal component of that class's row of output
weights. One cluster is negative, the others are positive. The number of malicious clients follows
from the number of negative tests, and so many are flagged in the order of their posterior odds.
The authors compute those on a trellis; with 2^15 possible sets they are summed here exactly.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]

CLIENTS = 15
TESTS = 8
_TAPS = (0, 1, 3, 7)
_ESTIMATES = (5, 5, 5, 4, 3, 3, 2, 1, 0)
"""Malicious clients by the number of negative tests, 0 … 8 (the authors' table)."""
_TIE = 1e-9
"""Log-odds closer than this are equal: they are sums of 2^15 products."""


def group_matrix() -> Bits:
    """Who sits in which group, (8, 15)."""
    matrix = np.zeros((TESTS, CLIENTS), dtype=bool)
    for row in range(TESTS):
        matrix[row, [row + tap for tap in _TAPS]] = True
    return matrix


@dataclass(frozen=True, slots=True)
class FedGTParams:
    """As in the authors' configuration for MNIST."""

    false_alarm: float = 0.05
    missed: float = 0.05
    silhouette: float = 0.6
    """No clustering reaches this mean silhouette, in [−1, 1]: every test is negative."""
    test_round: int = 1
    """Index of the round, from 0, in which the groups are tested."""


def first_component(rows: Array) -> Array:
    """First principal component of every group, (8,), of its output weights ``rows`` (8, h)."""
    centred = rows - rows.mean(axis=0)
    left, size, _right = np.linalg.svd(centred, full_matrices=False)
    found: Array = left[:, 0] * size[0]
    return found


def positive_tests(recall: Array, component: Array, params: FedGTParams) -> Bits:
    """Groups outside the negative cluster, (8,): k-means of the points (recall, component), with
    as many clusters, 1 to 5, as give the largest separation.

    ``recall``: of the attacked class under each group's model, in [0, 1]. ``component``: as
    :func:`first_component` gives it; its sign has no effect.
    """
    points = np.column_stack((recall, component))
    most = int(group_matrix().sum(axis=1).max()) + 1  # a group holds 0 to 4 malicious clients
    most = min(most, len(np.unique(points, axis=0)))
    none = np.zeros(len(points), dtype=bool)
    found = [_clustered(points, clusters) for clusters in range(2, most + 1)]
    scores = [silhouette_score(points, labels) for labels, _centres in found]
    if max(scores, default=0.0) < params.silhouette:
        return none
    labels, _centres = max(found, key=lambda clustering: _separation(points, *clustering))
    negative = _negative_cluster(points, labels)
    return none if negative is None else labels != negative


def estimated_malicious(tests: Bits) -> int:
    """How many malicious clients so many negative ones of the eight ``tests`` speak for."""
    return _ESTIMATES[int((~tests).sum())]


def log_odds(
    tests: Bits, prevalence: float, params: FedGTParams, groups: Bits | None = None
) -> Array:
    """log P(honest | tests) − log P(malicious | tests) of every client, (n,), exact, where each
    is malicious with probability ``prevalence``, in (0, 1), before the tests."""
    matrix = group_matrix() if groups is None else groups
    n = matrix.shape[1]
    sets, hit = _hits(n, matrix.tobytes())
    chance = np.where(hit, 1.0 - params.missed, params.false_alarm)
    likelihood = np.where(tests, chance, 1.0 - chance).prod(axis=1)
    size = sets.sum(axis=1)
    weight = likelihood * prevalence**size * (1.0 - prevalence) ** (n - size)
    malicious = weight @ sets
    odds: Array = np.log(weight.sum() - malicious) - np.log(malicious)
    return odds


def flagged(tests: Bits, params: FedGTParams) -> Bits:
    """Clients (15,) that FedGT excludes: the estimated number in the order of their odds, and those
    who tie with the last of them. (Its code adds whoever is more likely malicious than not; on
    this matrix nobody else ever is.)"""
    count = estimated_malicious(tests)
    if not count:
        return np.zeros(CLIENTS, dtype=bool)
    odds = log_odds(tests, count / CLIENTS, params)
    found: Bits = odds <= np.sort(odds)[count - 1] + _TIE
    return found


def noise_free_rates(
    malicious: int, params: FedGTParams, *, benign_group: bool
) -> tuple[float | None, float]:
    """True- and false-positive rate, in [0, 1], where every test is right: means over all sets of
    ``malicious`` clients. What is missing to 1 and 0 lies in matrix and rule, not in the tests.

    ``benign_group``: over those sets only that leave a group without malicious clients; the
    authors draw no others. The first is None where nobody is malicious.
    """
    matrix = group_matrix()
    decided: dict[bytes, Bits] = {}
    caught, wronged = [], []
    for chosen in itertools.combinations(range(CLIENTS), malicious):
        tests: Bits = matrix[:, list(chosen)].sum(axis=1) > 0
        if benign_group and tests.all():
            continue
        if (key := tests.tobytes()) not in decided:
            decided[key] = flagged(tests, params)
        out = decided[key]
        guilty = int(out[list(chosen)].sum())
        caught.append(guilty / malicious if malicious else 0.0)
        wronged.append((int(out.sum()) - guilty) / (CLIENTS - malicious))
    tpr = math.fsum(caught) / len(caught) if malicious else None
    return tpr, math.fsum(wronged) / len(wronged)


def _clustered(points: Array, clusters: int) -> tuple[NDArray[np.int32], Array]:
    """Labels (8,) and centres (clusters, 2)."""
    fitted = KMeans(n_clusters=clusters, n_init=10, random_state=0).fit(points)
    return fitted.labels_, fitted.cluster_centers_


def _separation(points: Array, labels: NDArray[np.int32], centres: Array) -> float:
    """Dunn's index by centres: the least distance of two centres over the widest cluster."""
    between = min(math.dist(a, b) for a, b in itertools.combinations(centres, 2))
    same = itertools.combinations(range(len(points)), 2)
    within = [math.dist(points[a], points[b]) for a, b in same if labels[a] == labels[b]]
    widest = max(within, default=0.0)
    return between / widest if widest > 0 else math.inf


def _negative_cluster(points: Array, labels: NDArray[np.int32]) -> int | None:
    """The cluster of highest mean recall. Where several reach it: of the two clusters outermost by
    component the one of higher recall, else the larger; None where these tie too."""
    clusters = range(int(labels.max()) + 1)
    means = np.stack([points[labels == cluster].mean(axis=0) for cluster in clusters])
    best = np.flatnonzero(means[:, 0] == means[:, 0].max())
    if len(best) == 1:
        return int(best[0])
    order = np.argsort(means[:, 1])
    low, high = ((means[c, 0], int((labels == c).sum()), int(c)) for c in (order[0], order[-1]))
    return None if low[:2] == high[:2] else max(low, high)[2]


@functools.lru_cache(maxsize=2)
def _hits(n: int, groups: bytes) -> tuple[NDArray[np.int64], Bits]:
    """All sets of ``n`` clients, (2^n, n), and whom of the groups each of them meets."""
    sets = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    matrix = np.frombuffer(groups, dtype=bool).reshape(-1, n)
    return sets, sets @ matrix.T.astype(np.int64) > 0
