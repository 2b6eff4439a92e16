"""From group sums over many rounds to evidence about single clients.

Model (docs/defence.md, section 2). In round r, group G, one column:

    S_rG = m_r + (1/|G|) Σ_{i∈G} (x_i + e_ir),    x_i ~ (0, τ²),  e_ir ~ (0, σ²)

m_r is the round's own level, x_i what client i brings every time (its data do not change), e_ir
what changes from round to round. Multiplying by √|G| gives equal noise σ²; m_r is projected
out. What is left are the sufficient statistics F = AᵀA and H = AᵀY, and the ratio ρ = τ²/σ² is
found by restricted maximum likelihood over all columns together: regularised least squares
whose regulariser is learnt instead of guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defense.ledger import RoundObservation
from auror.ids import ClientId

Array = NDArray[np.float64]

_RANK_TOLERANCE = 1e-8
_RATIO_GRID = np.exp(np.linspace(np.log(0.02), np.log(200.0), 40))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Sufficient statistics of all rounds, levels projected out.

    ``gram`` (n, n) = AᵀA; ``moment`` (n, columns) = AᵀY; ``total`` (columns,) = Σ Y²;
    ``freedom``: number of observations less the levels.
    """

    gram: Array
    moment: Array
    total: Array
    freedom: int


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Per-client estimates and what is needed to test any set of clients.

    ``estimate`` (n, columns): best linear prediction of x, in the columns' units.
    ``information`` (n, n) = AᵀΣ⁻¹A and ``score`` (n, columns) = AᵀΣ⁻¹Y with
    Σ = τ²AAᵀ + σ²I: for any direction z in client space, zᵀh / √(zᵀFz) is standard normal when
    no client differs from the others by more than the honest spread τ.
    ``chi2`` (columns,): YᵀΣ⁻¹Y within the span of A, expected value ``rank``.
    ``honest_spread``: τ; ``ratio``: ρ.
    """

    estimate: Array
    information: Array
    score: Array
    chi2: Array
    rank: int
    honest_spread: float
    ratio: float


def assignment(groups: Sequence[Sequence[int]], clients: int) -> Array:
    """A_r, shape (groups, clients), float64: row G has 1/|G| at the members of G."""
    matrix = np.zeros((len(groups), clients))
    for row, members in enumerate(groups):
        matrix[row, list(members)] = 1.0 / len(members)
    return matrix


def without_level(root: Array, values: Array) -> Array:
    """Take out the round's level m_r, which is common to its groups.

    ``root`` (groups,): √|G|; ``values`` (groups, columns): group means times ``root``.
    """
    level = root / np.linalg.norm(root)
    left: Array = values - np.outer(level, level @ values)
    return left


def gather(groups: Sequence[Sequence[Sequence[int]]], values: Sequence[Array], n: int) -> Evidence:
    """Stack the rounds. ``groups[r][G]``: member positions; ``values[r]``: (groups, columns).

    ``values`` are group means times √|G| (equal noise).
    """
    columns = values[0].shape[1] if values else 0
    gram, moment, total = np.zeros((n, n)), np.zeros((n, columns)), np.zeros(columns)
    freedom = 0
    for members, value in zip(groups, values, strict=True):
        root = np.sqrt([len(group) for group in members])
        design = without_level(root, assignment(members, n) * root[:, None])
        centred = without_level(root, value)
        gram += design.T @ design
        moment += design.T @ centred
        total += np.einsum("ge,ge->e", centred, centred)
        freedom += len(members) - 1
    return Evidence(gram, moment, total, freedom)


def decode(evidence: Evidence) -> Decoded:
    """Restricted maximum likelihood for ρ, then generalised least squares (module docstring)."""
    values, vectors = np.linalg.eigh(evidence.gram)
    keep = values > _RANK_TOLERANCE
    d, basis = values[keep], vectors[:, keep]
    rank, columns = int(keep.sum()), evidence.moment.shape[1]
    if rank == 0 or columns == 0:
        n = len(values)
        empty = np.zeros((n, columns))
        return Decoded(empty, np.zeros((n, n)), empty, np.zeros(columns), 0, 0.0, 0.0)
    seen = (basis.T @ evidence.moment) / np.sqrt(d)[:, None]
    power = np.mean(seen**2, axis=1)
    rest = max(float(np.mean(evidence.total - np.sum(seen**2, axis=0))), 0.0)
    freedom = max(evidence.freedom, rank)
    inflation = d[None, :] * _RATIO_GRID[:, None] + 1.0
    noise = ((power / inflation).sum(axis=1) + rest) / freedom
    likelihood = -0.5 * (np.log(inflation).sum(axis=1) + freedom * np.log(noise + 1e-300))
    best = int(np.argmax(likelihood))
    ratio, sigma2 = float(_RATIO_GRID[best]), float(noise[best]) + 1e-300
    weight = inflation[best]
    return Decoded(
        estimate=(basis * (np.sqrt(d) * ratio / weight)) @ seen,
        information=(basis * (d / weight)) @ basis.T / sigma2,
        score=(basis * (np.sqrt(d) / weight)) @ seen / sigma2,
        chi2=np.sum(seen**2 / weight[:, None], axis=0) / sigma2,
        rank=rank,
        honest_spread=float(np.sqrt(ratio * sigma2)),
        ratio=ratio,
    )


def sweep(decoded: Decoded, clients: Sequence[int]) -> Decoded:
    """Give each of ``clients`` a free effect in every column and remove it (Schur complement).

    What remains is the evidence about the others, as if those clients had no say at all.
    """
    if not clients:
        return decoded
    out = np.asarray(clients)
    F, h = decoded.information, decoded.score
    inverse = np.linalg.pinv(F[np.ix_(out, out)], rcond=1e-9, hermitian=True)
    through = F[:, out] @ inverse
    information = F - through @ F[out, :]
    score = h - through @ h[out]
    information[out, :] = information[:, out] = 0.0
    score[out] = 0.0
    chi2 = decoded.chi2 - np.einsum("ze,zy,ye->e", h[out], inverse, h[out])
    estimate = decoded.estimate.copy()
    estimate[out] = -np.inf
    return Decoded(
        estimate,
        information,
        score,
        np.maximum(chi2, 0.0),
        max(decoded.rank - len(out), 1),
        decoded.honest_spread,
        decoded.ratio,
    )


def client_leverage(rounds: Sequence[RoundObservation], clients: Sequence[ClientId]) -> Array:
    """Diagonal of A⁺A over all rounds, shape (clients,), each in [0, 1].

    1 means the opened sums determine this client's mean statistic; in one round it is 1/|G|.
    """
    position = {client: row for row, client in enumerate(clients)}
    rows = [
        assignment([[position[member] for member in group.members]], len(clients))
        for entry in rounds
        for group in entry.groups
    ]
    if not rows:
        return np.zeros(len(clients))
    stacked = np.concatenate(rows)
    projection = np.linalg.pinv(stacked) @ stacked
    return np.clip(np.diag(projection), 0.0, 1.0)
