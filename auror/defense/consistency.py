"""Could the client itself have caused, in every round, what is decoded about it?

Colluders can tell false statistics as long as their lies cancel over all groups: what they add
to the group of an honest victim they take from their own (docs/attacks.md). Two things then
betray the victim's innocence. Without a colluder in its group nobody can lie for it, so its
evidence comes and goes with its company, while what a client's data cause is there in every
round. And the evidence of many colluders on one client is more than that client's samples of
the source class could cause: a round moves a label's whole mass at most, and the cohort shows
how much that is while it learns the class. Who fails either test is held out, not flagged.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defense.confusion import LabelPair
from auror.defense.decode import Decoded, assignment, without_level
from auror.defense.mixture import Candidate

Array = NDArray[np.float64]
Groups = Sequence[Sequence[Sequence[int]]]

_FREE = 1e-3  # ridge of a found client's effect, relative to the others': nearly none


class Implausible(enum.Enum):
    """Why what is decoded about a client cannot be its own doing."""

    UNSTEADY = "its evidence comes and goes with its company"
    TOO_LARGE = "its evidence is more than its own samples could cause"


@dataclass(frozen=True, slots=True)
class GuardParams:
    """``unsteady``: mean squared residual in a client's groups, in units of the honest noise,
    and ``sway``: its part that is not noise, as a standard deviation relative to the effect.
    Attackers who do not lie in their statistics stay below 2.7 with no sway (docs/attacks.md).
    ``too_large``: decoded mass of the pair over the largest that the cohort's mean ever had at
    (source, source); attackers with equally dealt data stay below 2.1. Where data are dealt
    unequally some hold many times the mean of a class, so who shares the pair with companions
    that together carry as much as it does is not held out for its size."""

    unsteady: float = 3.0
    sway: float = 0.25
    too_large: float = 3.0


def implausible(
    groups: Groups,
    means: Sequence[Array],
    values: Sequence[Array],
    decoded: Decoded,
    candidate: Candidate,
    pair: LabelPair,
    params: GuardParams | None = None,
) -> dict[int, Implausible]:
    """Members of ``candidate`` that could not have caused their evidence, with the reason.

    Args:
        groups: ``groups[r][G]``, positions of the members.
        means: ``means[r]`` (groups, C, C), the opened group means.
        values: ``values[r]`` (groups, columns) as from ``read_pairs``.
        decoded: what ``decode`` made of ``values``.
        candidate: a set that was found at ``pair``, its column.
    """
    params = params or GuardParams()
    ridge = np.full(len(decoded.estimate), 1.0 / max(decoded.ratio, 1e-9))
    ridge[list(candidate.members)] *= _FREE
    design, homes = _design(groups, len(ridge))
    effects, residual = _fit(design, [value[:, candidate.column] for value in values], ridge)
    size = np.array([len(members) for entry in groups for members in entry], dtype=np.float64)
    noise = decoded.honest_spread**2 / max(decoded.ratio, 1e-9)
    mass, _rest = _fit(design, _scaled(groups, means, pair), ridge)
    # The diagonal is largest while the class is learnt: then nearly all of its mass moves.
    whole = max(
        float(_level(entry, mean)[pair.source]) for entry, mean in zip(groups, means, strict=True)
    )
    total = float(mass[list(candidate.members)].sum())
    found: dict[int, Implausible] = {}
    for client in candidate.members:
        rows = homes[client]
        swayed = (params.sway * effects[client]) ** 2 * float(np.mean(1.0 / size[rows]))
        if float(np.mean(residual[rows] ** 2)) > params.unsteady * noise + swayed:
            found[client] = Implausible.UNSTEADY
        elif mass[client] > max(params.too_large * whole, total / 2.0):
            found[client] = Implausible.TOO_LARGE
    return found


def _design(groups: Groups, n: int) -> tuple[list[Array], list[list[int]]]:
    """Per round √|G| times the assignment, the round's level projected out; and the row
    numbers, over all rounds, of each client's groups."""
    design: list[Array] = []
    homes: list[list[int]] = [[] for _ in range(n)]
    row = 0
    for entry in groups:
        root = np.sqrt([len(members) for members in entry])
        design.append(without_level(root, assignment(entry, n) * root[:, None]))
        for members in entry:
            for client in members:
                homes[client].append(row)
            row += 1
    return design, homes


def _fit(design: Sequence[Array], column: Sequence[Array], ridge: Array) -> tuple[Array, Array]:
    """Ridge regression of one column: effects (n,) and residuals (all groups of all rounds,)."""
    stacked = np.concatenate(design)
    observed = np.concatenate(column)
    gram: Array = stacked.T @ stacked
    gram[np.diag_indices(len(ridge))] += ridge
    effects = np.linalg.solve(gram, stacked.T @ observed).astype(np.float64, copy=False)
    return effects, observed - stacked @ effects


def _scaled(groups: Groups, means: Sequence[Array], pair: LabelPair) -> list[Array]:
    """The opened means at ``pair``, as ``values`` are scaled, in their own units."""
    scaled = []
    for entry, mean in zip(groups, means, strict=True):
        root = np.sqrt([len(members) for members in entry])
        column = mean[:, pair.target, pair.source, None] * root[:, None]
        scaled.append(without_level(root, column)[:, 0])
    return scaled


def _level(entry: Sequence[Sequence[int]], mean: Array) -> Array:
    """The diagonal (C,) of the mean over all clients of a round."""
    sizes = np.array([len(members) for members in entry], dtype=np.float64)
    level: Array = np.einsum("g,gcc->c", sizes, mean) / sizes.sum()
    return level
