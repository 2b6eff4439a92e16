"""From readings to what the sums say of single clients: each family decoded under its own premise.

Label pairs: the honest spreads of all pairs are alike, so a pair's own spread is known well, and
noise and spread are learnt over all pairs together. Where the run shows that they are not, or where
classes look too much alike to be told apart, pairs are not judged. Single classes: every class has
a noise of its own, and a spread that the other classes predict (``auror.defence.spreads``).

Few classes: an attack on one pair changes most of the others, so they say nothing about it, neither
how far honest clients differ nor whether pairs are alike. What a class weighs does: honest clients
differ by a part of what the cohort learns of it, a liar moves all that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defence.confusion import Family, Readings
from auror.defence.decode import Design, EachDecoded, Evidence, decode, decode_each, inequality
from auror.defence.gaussian import Gaussians
from auror.defence.selection import Block, Spreads, VerdictParams
from auror.defence.spreads import FEWEST, GRID, SHARES, ClassSpreads, predict

Array = NDArray[np.float64]
Groups = Sequence[Sequence[Sequence[int]]]
_TINY = 1e-300
_QUIET = 1e-6  # of what the cohort learns of a class: less noise than that no sum has


@dataclass(frozen=True, slots=True, eq=False)
class AlikeSpreads:
    """Every reading's spread in units of the common one: log-normal around ``typical`` with
    standard deviation ``width``, on the points ``grid``."""

    grid: tuple[float, ...]
    typical: float
    width: float

    def of(self, column: int) -> tuple[Array, Array]:
        """The same for every column."""
        points = np.array(self.grid)
        prior = -0.5 * (np.log(points / self.typical) / self.width) ** 2
        return points, prior - np.log(np.sum(np.exp(prior)))


PAIR_SPREADS = AlikeSpreads((0.5, 0.7, 1.0, 1.4, 2.0), 0.85, 0.3)
"""As measured where nobody lies (ADR 0017)."""


STEADY = 0.3
"""The least noise of a step along the cohort's with few classes, in such steps. There is next to
none, while honest clients differ by a third of a step and more, and expectation propagation does
not converge: with noise as it was 29 of 160 draws in which nobody lies alarmed, at log-odds of up
to 912 (eight trainings of seeds 12000 to 12003); from 0.2 on none, and who steps back is found as
before up to 0.4."""


@dataclass(frozen=True, slots=True)
class AnySpread:
    """Every point of the grid is as likely as another."""

    def of(self, column: int) -> tuple[Array, Array]:
        """The same for every column."""
        return GRID, np.full(len(GRID), -np.log(len(GRID)))


@dataclass(frozen=True, slots=True, eq=False)
class PartsOfWhole:
    """``SHARES`` of what the cohort learns of a pair's source, ``whole`` (K,) in units of x, each
    as likely as another."""

    whole: Array

    def of(self, column: int) -> tuple[Array, Array]:
        """The same parts for every column."""
        return self.whole[column] * SHARES, np.full(len(SHARES), -np.log(len(SHARES)))


@dataclass(frozen=True, slots=True, eq=False)
class PredictedSpreads:
    """A class's spread as the other classes predict it."""

    classes: ClassSpreads

    def of(self, column: int) -> tuple[Array, Array]:
        """The points that prior or sums hold for likely, with one more on either side."""
        prior, shown = self.classes.log_prior[column], self.classes.likelihood[:, column]
        likely = (int(np.argmax(prior)), int(np.argmax(prior + shown)), int(np.argmax(shown)))
        first = max(min(likely[0], likely[1]) - 1, 0)
        last = max(likely[1], min(likely[2], likely[1] + 2)) + 1
        chosen = slice(first, last + 1)
        return GRID[chosen], prior[chosen]


def blocks_of(
    groups: Groups, readings: Readings, clients: int, params: VerdictParams
) -> tuple[Block, ...]:
    """Every family that may be judged, decoded; steps against the cohort's come last.

    Args:
        groups: ``groups[r][G]``, member positions.
        params: ``resolved`` and ``alike`` say when label pairs may be judged.
    """
    found: list[Block] = []
    design = Design(groups, clients)
    resolved = readings.resolution >= params.resolved
    if len(readings.classes) < FEWEST:
        pairs_alone = [_weighed(design, readings)] if resolved else []
        return (*pairs_alone, _against(groups, readings, clients))
    if resolved:
        pairs = design.gather(readings.mislabelled.values)
        margins = design.gather(readings.margins.values)
        unequal = (inequality(pairs) + inequality(margins)) / 2.0
        if unequal <= params.alike:
            found += [_alike(readings.mislabelled, pairs), _alike(readings.margins, margins)]
    found.append(_predicted(design, readings))
    found.append(_against(groups, readings, clients))
    return tuple(found)


def _alike(family: Family, evidence: Evidence) -> Block:
    decoded = decode(evidence)
    deviation = np.sqrt(evidence.total)
    own = deviation / max(float(np.median(deviation)), _TINY)
    count = len(family.readings)
    noise = decoded.honest_spread / np.sqrt(max(decoded.ratio, 1e-9))
    return Block(
        family.readings,
        family.values,
        family.gains,
        Gaussians(decoded.precision),
        decoded.shift,
        PAIR_SPREADS,
        np.ones(count),
        np.clip(own, PAIR_SPREADS.grid[0], PAIR_SPREADS.grid[-1]),
        np.full(count, noise),
        np.full(count, decoded.ratio),
        np.full(count, family.least / max(decoded.honest_spread, _TINY)),
        alike=True,
    )


def _weighed(design: Design, readings: Readings) -> Block:
    family = readings.mislabelled
    each = decode_each(design.gather(family.values)).at_least(_QUIET * float(readings.whole.max()))
    # a cohort that liars keep from learning a class says nothing of how far honest clients differ
    spreads = PartsOfWhole(np.maximum(readings.whole / each.noise, GRID[0] / SHARES[0]))
    typical = np.array(
        [
            grid[np.argmax(each.spread_likelihood(grid)[:, column])]
            for column, (grid, _) in enumerate(map(spreads.of, range(len(family.readings))))
        ]
    )
    return _each(family, each, spreads, SHARES[0] * spreads.whole, typical)


def _predicted(design: Design, readings: Readings) -> Block:
    family = readings.depleted
    each = decode_each(design.gather(family.values))
    spreads = predict(each, readings.classes)
    return _each(family, each, PredictedSpreads(spreads), spreads.expected, spreads.typical)


def _against(groups: Groups, readings: Readings, clients: int) -> Block:
    """Whatever its spread is: nothing predicts by how much clients differ along their mean step.
    Few classes: by no less once the cohort hardly moves, so the whole run says what a step is."""
    family = readings.against
    each = decode_each(Design(groups, clients, family.gains).gather(family.values))
    if len(readings.classes) < FEWEST:
        family = replace(family, least=max(family.least, readings.stride))
        each = each.at_least(STEADY * family.least)
    typical = GRID[np.argmax(each.spread_likelihood(GRID), axis=0)]
    return _each(family, each, AnySpread(), typical / 2.0, typical, fades=True)


def _each(
    family: Family,
    each: EachDecoded,
    spreads: Spreads,
    expected: Array,
    typical: Array,
    *,
    fades: bool = False,
) -> Block:
    return Block(
        family.readings,
        family.values,
        family.gains,
        Gaussians(each.precision),
        each.shift,
        spreads,
        expected,
        typical,
        each.noise,
        typical**2,
        family.least / each.noise,
        fades,
    )
