"""How well the best linear estimator recovers each client's own mean from sums over sets.

The model, for one vector v_ir per client i and round r (a statistic, or an update):

    v_ir = c_r + x_i + e_ir,   Σ_i x_i = 0

c_r is what everybody has in common in round r, x_i what client i has of its own over the rounds
(two-way least squares over the pairs that exist). What was opened is, per round, the mean of
v_ir over some sets of clients. The estimator is *granted* every c_r, as if it could train the
common part itself, so that the account never understates; what it has left to find is x_i:

    y_s = √m (mean_{i in s} v_ir − c_r)  =  Σ_{i in s} x_i / √m + noise of equal variance

X̂ is the ridge solution over all rows of all rounds: the linear minimum mean square estimator
for a prior x_i ~ (0, τ²) and noise σ² with λ = σ²/τ². λ is taken from a grid so that the result
is best for the estimator. Then, per client,

    R²_i = clip(1 − ‖x̂_i − x_i‖² / ‖x_i‖², 0, 1)

and the recovery is the mean of R²_i over the clients: 0 = no better than the cohort's mean,
1 = every client's own part is known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId

Vectors = Mapping[tuple[int, ClientId], NDArray[np.floating]]
"""(round index, client) -> (k,): the truth, known in simulation only."""
Floats = NDArray[np.float64]

_RIDGE = np.concatenate([10.0 ** np.arange(-8, 6.25, 0.25), [np.inf]])
_BACKFITTING_STEPS = 50


@dataclass(frozen=True)
class OpenedSet:
    """The sum of one vector over ``members`` became known in round ``round``."""

    round: int
    members: tuple[ClientId, ...]


@dataclass(frozen=True)
class Truth:
    """The additive model fitted to the truth."""

    clients: tuple[ClientId, ...]
    own: Floats
    """x_i, (clients, k)."""
    common: dict[int, Floats]
    """c_r, (k,) per round."""


def recovery(opened: Sequence[OpenedSet], vectors: Vectors, *, standardise: bool) -> Floats | None:
    """R²_i per client in the order of ``fit(vectors).clients``; None when nothing was opened.

    Args:
        opened: every set whose sum became known; members without a vector are not allowed.
        vectors: the truth of every (round, client) that took part.
        standardise: whether entries are scaled to equal spread of x over the clients first, so
            that no entry counts for its unit (statistics: yes; updates: no).
    """
    if not vectors or not opened:
        return None
    truth = fit(vectors)
    scale = _scale(truth.own) if standardise else np.ones(truth.own.shape[1])
    return r_squared(truth.own * scale, [estimates(opened, vectors, truth) * scale])


def fit(vectors: Vectors) -> Truth:
    """Two-way least squares v_ir = c_r + x_i by backfitting: one step when nobody is absent."""
    clients = tuple(sorted({client for _, client in vectors}))
    rounds = sorted({index for index, _ in vectors})
    width = len(next(iter(vectors.values())))
    row = {client: position for position, client in enumerate(clients)}
    stacked = np.zeros((len(rounds), len(clients), width))
    present = np.zeros((len(rounds), len(clients), 1))
    place = {index: position for position, index in enumerate(rounds)}
    for (index, client), vector in vectors.items():
        stacked[place[index], row[client]] = vector
        present[place[index], row[client]] = 1
    own = np.zeros((len(clients), width))
    for _ in range(1 if present.all() else _BACKFITTING_STEPS):
        common = ((stacked - own) * present).sum(axis=1) / present.sum(axis=1)
        own = ((stacked - common[:, None]) * present).sum(axis=0) / present.sum(axis=0)
        own -= own.mean(axis=0)
    common = ((stacked - own) * present).sum(axis=1) / present.sum(axis=1)
    return Truth(clients, own, {index: common[place[index]] for index in rounds})


def estimates(opened: Sequence[OpenedSet], vectors: Vectors, truth: Truth) -> Floats:
    """X̂ for every λ of the grid, (grid, clients, k)."""
    row = {client: position for position, client in enumerate(truth.clients)}
    design = np.zeros((len(opened), len(truth.clients)))
    seen = np.zeros((len(opened), truth.own.shape[1]))
    for line, item in enumerate(opened):
        root = np.sqrt(len(item.members))
        design[line, [row[client] for client in item.members]] = 1 / root
        mean = np.mean([vectors[item.round, client] for client in item.members], axis=0)
        seen[line] = root * (mean - truth.common[item.round])
    values, basis = np.linalg.eigh(design.T @ design)
    values = np.where(values > 1e-9, values, 0.0)
    projected = basis.T @ (design.T @ seen)
    weights = np.where(values > 0, 1 / (values + _RIDGE[:, None]), 0.0)
    return np.stack([basis @ (weight[:, None] * projected) for weight in weights])


def r_squared(own: Floats, guesses: Sequence[Floats]) -> Floats:
    """R²_i for the best choice of λ, where the whole guess is the sum of ``guesses``, each
    (grid, clients, k) with a λ of its own. Clients without a part of their own have R²_i = 0."""
    energy = (own**2).sum(axis=1)
    left = own
    best = np.zeros(len(own))
    for guess in guesses:
        errors = ((guess - left) ** 2).sum(axis=2)
        scores = np.where(energy > 0, 1 - errors / np.where(energy > 0, energy, 1), 0.0)
        clipped = np.clip(scores, 0, 1)
        choice = int(np.argmax(clipped.mean(axis=1)))
        best, left = clipped[choice], left - guess[choice]
    return best


def _scale(own: Floats) -> Floats:
    spread = np.sqrt((own**2).mean(axis=0))
    smallest = 1e-9 * float(spread.max(initial=0.0))
    scale: Floats = np.where(spread > smallest, 1 / np.where(spread > smallest, spread, 1), 0.0)
    return scale
