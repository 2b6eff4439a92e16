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

from auror.defence.confusion import Reading
from auror.defence.decode import mean_over_clients, round_design, without_level
from auror.defence.ledger import Arranged
from auror.defence.selection import Finding

Array = NDArray[np.float64]

_FREE = 1e-3  # ridge of a found client's effect, relative to the others': nearly none


class Implausible(enum.Enum):
    """Why what is decoded about a client cannot be its own doing."""

    UNSTEADY = "its evidence comes and goes with its company"
    TOO_LARGE = "its evidence is more than its own samples could cause"


@dataclass(frozen=True, slots=True)
class Guarded:
    """``held``: members of a finding that may not have caused their evidence, with the reason;
    ``dispersion``: how much the sums scatter about the finding, in the variance of typical
    noise."""

    held: dict[int, Implausible]
    dispersion: float


@dataclass(frozen=True, slots=True)
class GuardParams:
    """What evidence may look like that nobody lied about; noise is that of the typical reading."""

    misfit: float = 1.2
    """Mean squared residual of the whole reading, in units of the noise, times its share of all
    variation. Lies move sums that no steady client could move, and the more colluders tell them,
    the less any clients explain the sums. True statistics: below 1 in 95 of 100 verdicts, at
    Dirichlet 1.0 and 0.5 above 1.2 in 5 to 19; scaled updates and sleepers reach 6; framing shows
    1.2 and more in groups of 5, and nothing in groups of 10 where a colluder nearly always sits
    with the victim. 3 of 30 who frame in groups of 10 reach 1.3 to 1.8: at 2.5 one of 60 such runs
    flagged victims, at 1.2 none. On 95 replays of attacked trainings 1.2 instead of 2.5 changed
    those at Dirichlet 0.5 only (.69 to .64 found)."""
    unsteady: float = 24.0
    """Mean squared residual in one client's groups. True statistics: below 20, label skew
    included."""
    too_large: float = 3.0
    """Decoded mass of the reading over the largest that the cohort's mean ever learnt. Attackers
    with equally dealt data stay below 2.1. Where data are dealt unequally some hold many times the
    mean of a class, so who shares the reading with companions that together carry as much as it
    does is not held out for its size."""


ALL_ROUNDS = GuardParams()
LATER_ROUNDS = GuardParams(misfit=0.8)
"""For a late window, which shows less of an inconstancy. Sleepers who were awake all that time
stay below 0.35, a framed victim from 1.8 on."""


def implausible(
    seen_in: Arranged,
    finding: Finding,
    params: GuardParams = ALL_ROUNDS,
    accused: Sequence[int] = (),
) -> Guarded:
    """Members of ``finding`` that may not have caused their evidence, with the reason.

    Args:
        seen_in: the opened group means, (groups, C, C) per round.
        finding: a reading in which clients stand apart.
        accused: who was found by other rounds, and may have any effect here.
    """
    block, column = finding.block, finding.column
    ridge = np.full(len(block.gaussians), 1.0 / max(float(block.ratio[column]), 1e-9))
    ridge[[*finding.members, *accused]] *= _FREE
    fit = _Fit(seen_in.groups, block.gains, ridge)
    shown = [value[:, column] for value in block.values]
    _effects, residual = fit.solve(shown)
    unit = max(float(block.noise[column]) ** 2, 1e-300)
    squared = residual**2 / unit
    unexplained = float(squared.sum()) / fit.freedom
    varied = sum(float(np.sum(entry**2)) for entry in shown) / unit / fit.varied
    if unexplained**2 > params.misfit * varied:
        return Guarded(dict.fromkeys(finding.members, Implausible.UNSTEADY), unexplained)
    found: dict[int, Implausible] = {
        client: Implausible.UNSTEADY
        for client in finding.members
        if float(np.mean(squared[fit.homes[client]])) > params.unsteady
    }
    for client in _oversized(seen_in, fit, finding.reading, finding.members, params):
        found.setdefault(client, Implausible.TOO_LARGE)
    return Guarded(found, unexplained)


def _oversized(
    seen_in: Arranged,
    fit: _Fit,
    reading: Reading,
    members: Sequence[int],
    params: GuardParams,
) -> set[int]:
    """Members whose mass in some label pair, when it shows most, is more than the cohort ever
    learnt of that class."""
    rows = list(members)
    roots = [np.sqrt(size) for size in seen_in.sizes]
    levels = [
        mean_over_clients(size, mean)
        for mean, size in zip(seen_in.means, seen_in.sizes, strict=True)
    ]
    found: set[int] = set()
    for pair in reading.parts:
        masses = [
            without_level(root, (pair.mass(mean) * root)[:, None])[:, 0]
            for mean, root in zip(seen_in.means, roots, strict=True)
        ]
        mass = fit.solve(masses)[0][rows] * fit.loudest
        # The diagonal is largest while a class is learnt: then nearly all of its mass moves.
        whole = max(pair.whole(level) for level in levels)
        limit = max(params.too_large * whole, float(mass.sum()) / 2.0)
        found |= {client for client, own in zip(members, mass, strict=True) if own > limit}
    return found


class _Fit:
    """Ridge regression of a column on the clients, all rounds together. ``homes``: per client the
    row numbers of its groups; ``loudest``: the largest gain; ``varied``: rows less the levels;
    ``freedom``: less the fitted effects too, at least 1."""

    def __init__(self, groups: Sequence[Sequence[Sequence[int]]], gains: Array, ridge: Array):
        n = len(ridge)
        self._design = np.concatenate(
            [round_design(entry, n, float(gain)) for entry, gain in zip(groups, gains, strict=True)]
        )
        self._gram = self._design.T @ self._design
        self._gram[np.diag_indices(n)] += ridge
        rows = [group for entry in groups for group in entry]
        fitted = float(np.trace(np.linalg.solve(self._gram, self._design.T @ self._design)))
        self.varied = len(rows) - len(groups)
        self.freedom = max(self.varied - fitted, 1.0)
        self.loudest = float(gains.max())
        self.homes: list[list[int]] = [[] for _ in range(n)]
        for row, group in enumerate(rows):
            for client in group:
                self.homes[client].append(row)

    def solve(self, columns: Sequence[Array]) -> tuple[Array, Array]:
        """``columns[r]`` (groups,), level taken out: effects (n,) and residuals (rows,)."""
        observed = np.concatenate(columns)
        effects: Array = np.linalg.solve(self._gram, self._design.T @ observed)
        return effects, observed - self._design @ effects
