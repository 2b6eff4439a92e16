"""Who is flagged, given decoded evidence (docs/defence.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.confusion import Reading
from auror.defence.decode import Decoded
from auror.defence.spike_slab import Posterior, Spreads, examine, glance


@dataclass(frozen=True, slots=True)
class VerdictParams:
    """Thresholds of the test. Each says on what it was set: docs/results/defence/parameters.md is
    made from here (``scripts/defence_parameters.py``)."""

    min_rounds: int = 5
    """Rounds of evidence before anybody is judged. With fewer equations than clients, companions
    share the blame."""
    coverage: float = 1.2
    """Independent group sums per client before anybody is judged. As for ``min_rounds``."""
    evidence: float = 2.0
    """Log-odds for some attackers against none, after correction for all readings. Largest score
    of clean runs with 30 clients, 40 rounds, 22 trainings each: IID and digits below 0, Dirichlet
    1.0 1.2, Dirichlet 0.5 1.7; a lone attacker reaches 2.0 to 14.5."""
    further: float = 2.0
    """What each further attack needs beyond ``evidence``, once one is found. A false second attack
    had 2.3 in one of 12 attacked runs."""
    inclusion: float = 0.9
    """Probability in (0, 1) that each flagged client must have by itself. 0.95 with low coverage
    flagged an honest client in three of 22 runs with 9 of 30 at g = 5, all before coverage 2."""
    early_inclusion: float = 0.98
    """``inclusion`` while the coverage is below ``settled`` and companions share the blame. At
    0.98 no honest client was flagged, and nobody was found later than round 20 for it."""
    min_effect: float = 4.5
    """Smallest mean effect of those who are flagged, in honest spreads. False clusters of 60 and
    100 clients lay at 2.5 to 5 spreads, attackers at 5 to 20."""
    min_own_effect: float = 3.5
    """Smallest effect of each of them, in honest spreads. As for ``min_effect``."""
    doubt: float = 0.1
    """Inclusion from which a client that is not flagged is undecided. As for ``ending``."""
    settled: float = 2.0
    """Coverage from which groupings leave little open. See ``early_inclusion``."""
    ending: float = 1.85
    """Coverage until which flags that would cost half of the evidence a round (groups of a third
    of the cohort) or all of it (of half) wait while somebody is undecided; then ``inclusion``
    suffices. g = 15, eight seeds each, 60 rounds with audits: 6 and 12 of 30 found .96 and .95 at
    1.7, .96 and .99 at 1.85, which comes after 54 rounds of two groups. Without the wait for half,
    6 and 12 of 30 at g = 10 (40 rounds, seeds 6000 to 6009): .97 and .92 found; with it, seeds 200
    to 207, all."""
    shrinkage: float = 0.1
    """Of the whitening covariances, in (0, 1]. Not tuned."""
    diagonal: float = 4.0
    """What δ² is multiplied with (``confusion.read``). Dirichlet 1.0, 9 of 30, g = 5: .96 found at
    4, .74 at 1."""
    max_skew: float = 12.0
    """Label skew (``confusion.Readings``) beyond which only steps against the cohort's are judged:
    honest clients with one or two classes look like those who mislabel the rest. Clean and
    attacked, 30 clients: IID below 3, Dirichlet 1.0 below 7, digits below 10, Dirichlet 0.5 up to
    12.1 after 7 rounds and 8.3 after 20; two shards a client 12.3 to 23."""
    max_findings: int = 8
    """Attacks (readings) named at most. Not tuned."""
    calibrated_cohort: int = 30
    """Clients up to which ``evidence`` suffices; beyond, it grows with n^(4/3): 10.0 at 100. 100
    digits clients of 14 samples reach 8.9 in one of 12 clean trainings, attacked runs of 100 at
    least 13."""

    def __post_init__(self) -> None:
        if (
            not 0.0 < self.shrinkage <= 1.0
            or not 0.0 < self.inclusion <= self.early_inclusion < 1.0
        ):
            raise ValueError(
                "shrinkage must be in (0, 1], inclusions in (0, 1), the early one larger"
            )
        if self.min_rounds < 1 or self.diagonal < 0.0 or self.calibrated_cohort < 1:
            raise ValueError("min_rounds and calibrated_cohort must be positive, diagonal not < 0")

    def needed(self, clients: int) -> float:
        """Log-odds a reading must reach in a cohort of this size.

        Honest tails are heavier than the model's, and what they feign adds up over clients.
        """
        return float(self.evidence * max(1.0, clients / self.calibrated_cohort) ** _GROWTH)


_GROWTH = 4.0 / 3.0
"""Exponent by which the evidence needed grows beyond ``calibrated_cohort``: below it 100 clients
with a dozen samples each feign attacks."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Readings that were decoded together; ``spreads``: how their honest spreads differ;
    ``fades``: whether they show less and less as the model converges."""

    readings: tuple[Reading, ...]
    decoded: Decoded
    spreads: Spreads
    fades: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """The belief about one reading. ``column``: of ``reading`` in ``block``; ``score``: its
    evidence after the correction for all readings; ``members``: positions flagged by it, none when
    it does not suffice."""

    block: Block
    column: int
    posterior: Posterior
    score: float
    members: tuple[int, ...]

    @property
    def reading(self) -> Reading:
        return self.block.readings[self.column]

    @property
    def effect(self) -> float:
        """Mean effect of the members in honest spreads; 0 without any."""
        rows = list(self.members)
        return float(np.mean(self.posterior.effect[rows])) if rows else 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """``found``: the findings that passed, in the order they were made; ``leading``: the first
    reading that was examined, passed or not; ``strength``: the log-odds of the strongest reading;
    ``required``: what it needed."""

    found: tuple[Finding, ...]
    leading: Finding | None
    strength: float
    required: float


_WORTH_EXAMINING = -3.5
"""A glance below this, after the correction, never hides a finding: it errs by less."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """``seen`` (n,): bool, clients that were in an opened group; the others are never flagged.
    ``coverage``: independent group sums per client so far. ``present``: clients that the next
    round may invite; ``group_size``: the smallest mean size of a round's groups."""

    seen: NDArray[np.bool_]
    coverage: float
    present: frozenset[int]
    group_size: float

    def open_to(self, flagged: Sequence[int]) -> NDArray[np.bool_]:
        """(n,): bool, who may still be flagged beside ``flagged``."""
        left = self.seen.copy()
        left[list(flagged)] = False
        return left

    def can_spare(self, flagged: Sequence[int], fades: bool) -> bool:
        """Whether later rounds tell enough without ``flagged``: more than half as many independent
        sums; any at all when the evidence ``fades`` anyway."""
        left = len(self.present - set(flagged))
        now, then = (max(int(n / self.group_size), 1) - 1 for n in (len(self.present), left))
        return then == now or then > (0.0 if fades else now / 2)


def select(blocks: Sequence[Block], cohort: Cohort, params: VerdictParams) -> Selection:
    """Find who stands apart in some reading, give those a free effect, and look again."""
    flagged: list[int] = []
    found: list[Finding] = []
    leading: Finding | None = None
    strength, required = 0.0, params.needed(int(cohort.seen.sum()))
    for attempt in range(params.max_findings):
        needed = required + (params.further if found else 0.0)
        best, odds = _strongest(blocks, flagged, cohort, needed, params)
        if attempt == 0:
            leading, strength = best, odds
        if best is None or not best.members:
            break
        found.append(best)
        flagged.extend(best.members)
    return Selection(tuple(found), leading, strength, required)


def _strongest(
    blocks: Sequence[Block],
    flagged: list[int],
    cohort: Cohort,
    required: float,
    params: VerdictParams,
) -> tuple[Finding | None, float]:
    """Examine the reading of each block that looks best at a glance, ``flagged`` having free
    effects. Returns the stronger one with its log-odds; None when neither is worth examining,
    then with the log-odds at a glance."""
    choice = float(np.log(sum(len(block.readings) for block in blocks)))
    best: Finding | None = None
    noticed = -np.inf
    for block in blocks:
        precision, shift = block.decoded.precision, block.decoded.shift
        odds = glance(precision, shift, flagged) - choice
        column = int(np.argmax(odds))
        noticed = max(noticed, float(odds[column]))
        if odds[column] < _WORTH_EXAMINING:
            continue
        belief = examine(precision, shift[column], flagged, block.spreads)
        score = belief.evidence - choice
        if best is None or score > best.score:
            members = (
                _members(belief, flagged, cohort, block.fades, params) if score >= required else ()
            )
            best = Finding(block, column, belief, score, members)
    return best, noticed if best is None else best.score


def _members(
    belief: Posterior, flagged: list[int], cohort: Cohort, fades: bool, params: VerdictParams
) -> tuple[int, ...]:
    """Who is flagged by this belief: nobody, unless the mean effect suffices, nor when it would be
    half of the clients that are left."""
    open_ = cohort.open_to(flagged)
    settled = cohort.coverage >= params.settled
    members = _apart(belief, open_, params.inclusion if settled else params.early_inclusion, params)
    if settled or cohort.can_spare([*flagged, *members], fades):
        return members
    undecided = open_ & (belief.inclusion >= params.doubt)
    undecided[list(members)] = False
    if not undecided.any():
        return members
    # Little or nothing will be learnt about the rest once these are gone.
    ending = cohort.coverage >= params.ending
    return _apart(belief, open_, params.inclusion, params) if ending else ()


def steadfast(
    finding: Finding,
    others: Sequence[int],
    cohort: Cohort,
    dispersion: float,
    params: VerdictParams,
) -> tuple[int, ...]:
    """Members of ``finding`` that still stand out when sums scatter ``dispersion`` times as much
    as typical noise: the likelihood to the power 1 / ``dispersion`` (quasi-likelihood, McCullagh
    and Nelder 1989, section 9.2). ``others``: found in other readings.
    """
    block, column = finding.block, finding.column
    weight = 1.0 / max(dispersion, 1.0)
    precision, shift = weight * block.decoded.precision, weight * block.decoded.shift[column]
    belief = examine(precision, shift, others, block.spreads)
    choice = finding.posterior.evidence - finding.score
    if belief.evidence - choice < params.needed(int(cohort.seen.sum())):
        return ()
    apart = _apart(belief, cohort.open_to(others), params.inclusion, params)
    return tuple(client for client in apart if client in finding.members)


def _apart(
    belief: Posterior, open_: NDArray[np.bool_], least: float, params: VerdictParams
) -> tuple[int, ...]:
    """Of ``open_`` (n,) those included with probability ``least``, if there is an attack at all."""
    apart = open_ & (belief.inclusion >= least) & (belief.effect >= params.min_own_effect)
    if not apart.any() or 2 * int(apart.sum()) >= int(open_.sum()):
        return ()
    if float(np.mean(belief.effect[apart])) < params.min_effect:
        return ()
    return tuple(int(row) for row in np.flatnonzero(apart))
