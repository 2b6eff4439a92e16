"""How well the best linear estimator recovers each client's own mean from sums over sets.

The model, for one vector v_ir per client i and round r (a statistic, or an update):

    v_ir = c_r + d_ir,   x_i = mean of d_ir over the rounds r in which i took part

c_r is what everybody has in common in round r, x_i what client i has of its own over the rounds
(two-way least squares over the pairs that exist). What was opened is, per round, the sum of v_ir
over some sets of clients. The estimator is *granted* every c_r, as if it could train the common
part itself, and how deviations are spread, K_rs = mean over clients and entries of d_ir d_is, so
that the account never understates. K says how much each round is worth: a client's own part
makes K_rs large between rounds, what happens to it in one round only adds to K_rr alone. Rounds
with little of the first beside the second weigh little, and a second training that shares
little with the first one is not taken for more of the same.

Opened in round r are the rows of an orthonormal Z_r, (opened, clients), that span the sets'
indicators (the total of groups that are all open adds no row; c_r adds the set of everybody).
With cov(d_ir, d_js) = K_rs for i = j and 0 otherwise, the linear minimum mean square estimate is

    x̂ = cov(x, y) cov(y, y)⁻¹ y,   y_r = Z_r d_r,   cov(y_r, y_s) = K_rs Z_r Z_sᵀ

Clients' deviations add up to zero, so they are not quite independent; as y holds their sum, the
estimate is the same. Then, per client,

    R²_i = clip(1 − ‖x̂_i − x_i‖² / ‖x_i‖², 0, 1)

and the recovery is the mean of R²_i over the clients: 0 = no better than the cohort's mean,
1 = every client's own part is known exactly, as it is when all is opened one by one.
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

_BACKFITTING_STEPS = 50
_JITTER = 1e-9  # relative: rows of rounds without noise say the same twice


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
    return r_squared(truth.own * scale, estimate(opened, vectors, truth, scale))


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


def estimate(
    opened: Sequence[OpenedSet], vectors: Vectors, truth: Truth, scale: Floats | None = None
) -> Floats:
    """X̂, (clients, k), in units of ``scale`` (k,), by which every entry is multiplied."""
    rounds = sorted(truth.common)
    place = {index: position for position, index in enumerate(rounds)}
    row = {client: position for position, client in enumerate(truth.clients)}
    deviations = np.zeros((len(rounds), *truth.own.shape))
    present = np.zeros((len(rounds), len(row)))
    for (index, client), vector in vectors.items():
        deviations[place[index], row[client]] = vector - truth.common[index]
        present[place[index], row[client]] = 1
    if scale is not None:
        deviations *= scale
    sets = [[present[position]] for position in range(len(rounds))]
    for item in opened:
        indicator = np.zeros(len(row))
        indicator[[row[client] for client in item.members]] = 1
        sets[place[item.round]].append(indicator)
    spans = [_span(np.stack(indicators)) for indicators in sets]
    size, related = _moments(deviations, present)
    of = np.repeat(np.arange(len(rounds)), [len(span) for span in spans])
    seen = np.concatenate([span @ d for span, d in zip(spans, deviations, strict=True)])
    spanned = np.concatenate(spans)
    covariance = spanned @ spanned.T
    covariance *= related[np.ix_(of, of)]
    covariance[np.diag_indices_from(covariance)] += _JITTER
    solved = np.linalg.solve(covariance, seen / size[of, None])
    share = present.T / present.sum(axis=0)[:, None]  # of a round in a client's mean
    found: Floats = (spanned.T * ((share * size) @ related)[:, of]) @ solved
    return found


def r_squared(own: Floats, guess: Floats) -> Floats:
    """R²_i, (clients,); clients without a part of their own have R²_i = 0."""
    energy = (own**2).sum(axis=1)
    errors = ((guess - own) ** 2).sum(axis=1)
    scores = np.where(energy > 0, 1 - errors / np.where(energy > 0, energy, 1), 0.0)
    return np.clip(scores, 0, 1)


def _span(rows: Floats) -> Floats:
    """Orthonormal rows that span ``rows``."""
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    kept: Floats = basis[sizes > 1e-9 * sizes[0]]
    return kept


def _moments(deviations: Floats, present: Floats) -> tuple[Floats, Floats]:
    """K as the rounds' standard deviations (rounds,) and their correlations (rounds, rounds)."""
    flat = deviations.reshape(len(deviations), -1)
    together = present @ present.T * deviations.shape[2]
    moments = np.where(together > 0, flat @ flat.T / np.maximum(together, 1), 0.0)
    size = np.sqrt(np.diag(moments))
    size = np.where(size > 0, size, 1.0)
    # means over different clients may not fit together: the nearest correlations that do
    values, basis = np.linalg.eigh(moments / np.outer(size, size))
    return size, (basis * np.maximum(values, 0.0)) @ basis.T


def _scale(own: Floats) -> Floats:
    spread = np.sqrt((own**2).mean(axis=0))
    smallest = 1e-9 * float(spread.max(initial=0.0))
    scale: Floats = np.where(spread > smallest, 1 / np.where(spread > smallest, spread, 1), 0.0)
    return scale
