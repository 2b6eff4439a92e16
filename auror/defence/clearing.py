"""Who has been looked at long enough: cleared at the verdict's own error level (ADR 0022).

The sums leave a width v_i open about client i's value, in honest spreads. The smallest lie that the
verdict knows shifts it by μ (``SMALLEST``). A client is cleared when

1. it was seen well enough, in every family of readings that does not fade: a test of one client at
   level α against a lie of μ has power 1 − α, that is z(v_i + √(1 + v_i²)) ≤ μ with z = Φ⁻¹(1 − α):
   a liar is found at N(μ, v_i²), an honest client at N(0, 1 + v_i²), and both are α from one line;
2. nothing speaks against it, in every reading that flagged somebody and in the strongest of those
   that are left: its probability of lying is below α, or its effect below μ even at the upper 1 − α
   bound of its posterior. In a family that does not fade and whose honest spreads are not alike a
   glance may show nothing where an examination finds a liar. Its strongest reading is examined
   whatever it shows; where no other family lasts, without the correction for all readings, which
   guards from accusing, not from clearing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from auror.defence.gaussian import FREE
from auror.defence.selection import Block, Cohort, Selection, examined
from auror.defence.spike_slab import SLABS, Posterior

Array = NDArray[np.float64]

SMALLEST = min(min(slab.means) for slab in SLABS)
"""μ, in honest spreads."""


def cleared(
    blocks: Sequence[Block], chosen: Selection, around: Cohort, alpha: float
) -> frozenset[int]:
    """Positions of the clients that are cleared; ``blocks``: all families that were judged."""
    lasting = [block for block in blocks if not block.fades]
    if not lasting or chosen.unfinished:
        return frozenset()
    flagged = [*around.accused, *(row for finding in chosen.found for row in finding.members)]
    clear = around.open_to(flagged)
    for block in lasting:
        clear &= widths(block, flagged) <= widest(alpha)
    for finding in (*chosen.found, *([] if chosen.rest is None else [chosen.rest])):
        clear &= _unsuspected(finding.posterior, finding.score, alpha)
    choice = math.log(sum(len(block.readings) for block in blocks)) if len(lasting) > 1 else 0.0
    for block in lasting:
        if clear.any() and not block.alike:
            closer, _glanced = examined(block, flagged, choice)
            clear &= bool(closer)  # what cannot be examined clears nobody
            for finding in closer:
                clear &= _unsuspected(finding.posterior, finding.score, alpha)
    return frozenset(int(row) for row in np.flatnonzero(clear))


def widest(alpha: float) -> float:
    """The largest v that condition 1 allows; below 0 where no width does."""
    ratio = SMALLEST / NormalDist().inv_cdf(1.0 - alpha)
    return (ratio**2 - 1.0) / (2.0 * ratio)


def widths(block: Block, free: Sequence[int]) -> Array:
    """v (n,): what the sums leave open of every client's value, in typical honest spreads, if the
    others are honest and those in ``free`` anything; infinite where they say nothing."""
    spread = float(np.median(block.expected))
    prior = np.full(len(block.gaussians), 1.0 / spread**2)
    prior[list(free)] = FREE
    _mean, (variance,), _ = block.gaussians.solve(prior[None], np.zeros((1, len(prior))))
    told = np.maximum(1.0 / variance - prior, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (np.sqrt(told) * spread))


def _unsuspected(belief: Posterior, score: float, alpha: float) -> NDArray[np.bool_]:
    """(n,): condition 2 in one reading of log-odds ``score``."""
    some = 1.0 / (1.0 + np.exp(-np.clip(score, -50.0, 50.0)))
    upper = belief.effect + NormalDist().inv_cdf(1.0 - alpha) * belief.deviation
    return np.asarray((some * belief.inclusion < alpha) | (upper < SMALLEST))
