"""Which set of clients, if any, explains a column as "these carry an extra effect"?

For a set Z with a common effect μ, the generalised likelihood ratio against "nobody" is
(1_Zᵀh)² / (2·1_ZᵀF1_Z) with F, h of ``decode.Decoded``. A column's own spread is not known
exactly, so the ratio is moderated: the column's variance has a scaled inverse-χ² prior of ν₀
degrees of freedom around the spread of all columns (Smyth 2004, "limma"), which turns it into

    L(Z) = (ν₀ + ν)/2 · log((ν₀ + χ²) / (ν₀ + χ² − (1_Zᵀh)²/(1_ZᵀF1_Z)))

and the score of a set pays for the choice among all sets of its size and among all columns:

    score(Z) = L(Z) − log C(n, |Z|) − log(columns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from auror.defense.decode import Decoded

Array = NDArray[np.float64]

_TINY = 1e-9
_REFINED_COLUMNS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The best set found: positions ``members`` in column ``column``.

    ``score``: natural-log evidence after the corrections; ``effect``: μ in units of the honest
    spread; ``variance``: the column's moderated variance relative to the common one.
    """

    column: int
    members: tuple[int, ...]
    score: float
    effect: float
    variance: float


def log_choose(n: int, k: NDArray[np.int64]) -> Array:
    """log C(n, k), elementwise."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def moderated(chi2: Array, explained: Array, rank: int, prior: float) -> Array:
    """L(Z) of the module docstring; ``explained`` ≤ ``chi2``."""
    rest = np.maximum(chi2 - explained, 1e-3)
    return 0.5 * (prior + rank) * np.log((prior + chi2) / (prior + rest))


def search(decoded: Decoded, eligible: NDArray[np.bool_], prior: float) -> Candidate | None:
    """The set and column of the highest score, effects positive only (mislabelling raises Q).

    ``eligible`` (n,): clients that may be in a set. The top k of each column by decoded
    estimate, k below half of them, are tried for every column; the best few columns are then
    refined by adding and removing single clients. None when there is nothing to search.
    """
    positions = np.flatnonzero(eligible)
    n, largest = len(positions), (len(positions) - 1) // 2
    columns = decoded.score.shape[1]
    if largest < 1 or columns == 0 or decoded.rank == 0:
        return None
    F = decoded.information[np.ix_(positions, positions)]
    h = decoded.score[positions]
    order = np.argsort(-decoded.estimate[positions], axis=0, kind="stable")[:largest]
    lead = np.cumsum(np.take_along_axis(h, order, axis=0), axis=0)
    gathered = F[order.T[:, :, None], order.T[:, None, :]]
    weight = np.einsum("ekk->ke", np.cumsum(np.cumsum(gathered, axis=1), axis=2))
    explained = np.where(lead > 0.0, lead**2 / np.maximum(weight, _TINY), 0.0)
    cost = log_choose(n, np.arange(1, largest + 1)) + np.log(columns)
    score = moderated(decoded.chi2[None, :], explained, decoded.rank, prior) - cost[:, None]
    best: Candidate | None = None
    for column in np.argsort(-score.max(axis=0), kind="stable")[:_REFINED_COLUMNS]:
        start = np.zeros(n, dtype=bool)
        start[order[: int(np.argmax(score[:, column])) + 1, column]] = True
        chosen, value = _refine(
            F, h[:, column], float(decoded.chi2[column]), start, decoded.rank, prior, largest
        )
        value -= float(np.log(columns))
        if best is None or value > best.score:
            members = tuple(int(position) for position in positions[chosen])
            best = appraise(decoded, int(column), members, n, prior)
    return best


def appraise(
    decoded: Decoded, column: int, members: tuple[int, ...], cohort: int, prior: float
) -> Candidate:
    """The score of a given set, with the same corrections as if ``search`` had found it.

    ``cohort``: how many clients could have been in the set.
    """
    rows = np.asarray(members)
    weight = float(decoded.information[np.ix_(rows, rows)].sum())
    lead = float(decoded.score[rows, column].sum())
    effect = lead / max(weight, _TINY)
    gain = effect * lead if lead > 0.0 else 0.0
    chi2 = float(decoded.chi2[column])
    ratio = moderated(np.asarray(chi2), np.asarray(gain), decoded.rank, prior)
    cost = log_choose(cohort, np.asarray(len(rows))) + np.log(decoded.score.shape[1])
    return Candidate(
        column=column,
        members=tuple(sorted(members)),
        score=float(ratio - cost),
        effect=effect / max(decoded.honest_spread, _TINY),
        variance=(prior + max(chi2 - gain, 0.0)) / (prior + decoded.rank),
    )


def _refine(
    F: Array,
    h: Array,
    chi2: float,
    start: NDArray[np.bool_],
    rank: int,
    prior: float,
    largest: int,
) -> tuple[NDArray[np.bool_], float]:
    """Steepest ascent over single additions and removals. Returns the set and its score."""
    n = len(h)
    diagonal = np.diag(F)
    costs = log_choose(n, np.arange(0, n + 1))
    chosen = start.copy()
    bound = np.asarray(chi2)

    def value(lead: Array, weight: Array, size: NDArray[np.int64]) -> Array:
        gain = np.where(lead > 0.0, lead**2 / np.maximum(weight, _TINY), 0.0)
        score = moderated(bound, gain, rank, prior) - costs[size]
        return np.where((size >= 1) & (size <= largest), score, -np.inf)

    lead, reach = float(h[chosen].sum()), F[:, chosen].sum(axis=1)
    weight, size = float(reach[chosen].sum()), int(chosen.sum())
    current = float(value(np.asarray(lead), np.asarray(weight), np.asarray(size)))
    for _ in range(2 * n):
        sign = np.where(chosen, -1.0, 1.0)
        trial = value(
            lead + sign * h,
            weight + sign * 2.0 * reach + diagonal,
            size + sign.astype(np.int64),
        )
        pick = int(np.argmax(trial))
        if not trial[pick] > current + 1e-9:
            break
        current = float(trial[pick])
        lead += sign[pick] * h[pick]
        weight += float(sign[pick] * 2.0 * reach[pick] + diagonal[pick])
        reach = reach + sign[pick] * F[:, pick]
        size += int(sign[pick])
        chosen[pick] = not chosen[pick]
    return chosen, current


def own_effect(
    decoded: Decoded,
    candidate: Candidate,
    client: int,
    spread: float,
) -> tuple[float, float]:
    """Effect b of one client, the other members of ``candidate`` being what they may be.

    Each of the others has the set's common (free) effect plus its own deviation, normal with
    standard deviation ``spread`` times the effect: attackers hold unequally many samples to
    mislabel, and a strong one must not make its companions look guilty.

    Returns (b in units of the honest spread, z = b / its standard error). The error holds both
    the honest spread and what the groupings so far leave undecided, so a client that always sat
    with the same companions has a small z however large b is.
    """
    others = [other for other in candidate.members if other != client]
    rows = np.asarray([*others, client])
    F = decoded.information[np.ix_(rows, rows)]
    h = decoded.score[rows, candidate.column]
    if others:
        deviation = max(spread * abs(candidate.effect) * decoded.honest_spread, _TINY)
        through = F[:, :-1] @ np.linalg.inv(F[:-1, :-1] + np.eye(len(others)) / deviation**2)
        F, h = F - through @ F[:-1, :], h - through @ h[:-1]
    own, lead = float(F[-1, -1]), float(h[-1])
    size = float(F[:-1, :-1].sum())
    if others and size > _TINY:
        cross = float(F[-1, :-1].sum())
        lead -= cross / size * float(h[:-1].sum())
        own -= cross * cross / size
    if own <= _TINY:
        return 0.0, 0.0
    effect = lead / own
    z = effect * float(np.sqrt(own / candidate.variance))
    return effect / max(decoded.honest_spread, _TINY), z
