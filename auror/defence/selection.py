"""Who is flagged, given decoded evidence (docs/defence.md, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auror.defence.confusion import Reading
from auror.defence.gaussian import Gaussians
from auror.defence.spike_slab import USUAL, Posterior, examine, glance, learn_tails
from auror.params import ERROR_RATE

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VerdictParams:
    """What the test may be told. Each says on what it was set: docs/results/defence/parameters.md
    is made from here (``scripts/defence_parameters.py``)."""

    alpha: float = ERROR_RATE
    """Bound, in (0, 1), on the chance that a training in which nobody lies ever accuses anybody:
    a reading must reach odds of 1/alpha after correction for all readings. The odds are a ratio of
    marginal likelihoods averaged over the readings, so their mean is one when nobody lies as the
    model says, and Ville's inequality bounds their maximum over all rounds (docs/defence.md,
    section 5)."""
    min_rounds: int = 5
    """Rounds of evidence before anybody is judged. With fewer equations than clients, companions
    share the blame."""
    coverage: float = 1.2
    """Independent group sums per client before anybody is judged. As for ``min_rounds``."""
    inclusion: float = 0.9
    """Probability in (0, 1) that each flagged client must have by itself. 0.95 with low coverage
    flagged an honest client in three of 22 runs with 9 of 30 at g = 5, all before coverage 2."""
    early_inclusion: float = 0.98
    """``inclusion`` while the coverage is below ``settled`` and companions share the blame. At
    0.98 no honest client was flagged, and nobody was found later than round 20 for it."""
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
    resolved: float = 0.37
    """Label pairs are judged where the dual basis tells all classes apart: the least part of a
    class that is read back as itself, mean over the rounds (``confusion.Readings``). Elsewhere a
    lie about one class shows in pairs of others. It follows from the model alone. MNIST and
    digits, MLP and CNN, every deal: at least 0.46; signs, MLP and CNN: at most 0.28. Where classes
    are not told apart only single classes are judged."""
    alike: float = 0.39
    """Label pairs are judged where their honest spreads are alike, for noise and spread are learnt
    over all of them: standard deviation, over pairs, of the logarithm of a group sum's deviation
    beyond chance, mean of mislabelled pairs and of margins. The prior allows for 0.3. MNIST and
    digits, every deal, attacked or not: at most 0.35; signs, MLP, every deal: at least 0.43.
    Made-up classes that are told apart and whose scales differ by a factor of e^0.6 flagged honest
    clients without it."""
    max_skew: float = 12.0
    """Label skew (``confusion.Readings``) beyond which only steps against the cohort's are judged:
    honest clients with one or two classes look like those who mislabel the rest."""
    misfit: float = 0.12
    """What each client beyond the thirtieth adds to the log-odds needed. Odds multiply over
    clients, and so does what a tail a little heavier than the model's feigns: at most 0.11 a client
    in four clean trainings of 100 clients with 14 or 36 samples each (log-odds up to 10.7, 13.0
    are needed; 10 liars of 100 reach 32)."""
    max_findings: int = 8
    """Attacks (readings) named at most. Not tuned."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"alpha = {self.alpha}: choose a probability in (0, 1)")
        if not 0.0 < self.inclusion <= self.early_inclusion < 1.0:
            raise ValueError("inclusions must be in (0, 1), the early one larger")
        if self.min_rounds < 1 or self.misfit < 0.0:
            raise ValueError("min_rounds must be positive, misfit not below 0")

    def required(self, clients: int) -> float:
        """Log-odds that a reading must reach in a cohort of ``clients``."""
        return math.log(1.0 / self.alpha) + self.misfit * max(0, clients - _EXACT_COHORT)


_EXACT_COHORT = 30


class Spreads(Protocol):
    """What is believed of a reading's own honest spread."""

    def of(self, column: int) -> tuple[Array, Array]:
        """Spreads on a grid (points,), in units of x, and their log prior, which sums to one."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Readings that were decoded together.

    ``values[r]`` (groups, K) and ``gains`` (rounds,): as ``confusion.Family`` has them.
    ``gaussians``, with Λ (n, n), and ``shift`` h (K, n): what the sums say of x. ``expected`` (K,):
    every reading's honest spread in units of x, as the other readings have it; ``typical`` (K,): as
    its own sums have it too. ``noise`` (K,): standard deviation of a group sum; ``ratio`` (K,):
    variance of honest clients over that of the noise. ``least`` (K,): effect below which
    nobody is an attacker, in units of x. ``fades``: whether they show less and less as the model
    converges. ``alike``: whether their honest spreads are, which a glance supposes.
    """

    readings: tuple[Reading, ...]
    values: list[Array]
    gains: Array
    gaussians: Gaussians
    shift: Array
    spreads: Spreads
    expected: Array
    typical: Array
    noise: Array
    ratio: Array
    least: Array
    fades: bool = False
    alike: bool = False

    def untouched(self, column: int) -> NDArray[np.intp]:
        """Readings of other sources and targets than those of ``column``, as many as show about
        ``_LEARNT`` clients."""
        mine = self._labels(column)
        others = [
            k for k in range(len(self.readings)) if k != column and not mine & self._labels(k)
        ]
        enough = max(_LEARNT // len(self.gaussians), _FEWEST_LEARNT)
        some = np.linspace(0, len(others) - 1, min(enough, len(others))).astype(np.intp)
        return np.asarray(others, dtype=np.intp)[some]

    def _labels(self, column: int) -> set[tuple[str, int]]:
        reading, sides = self.readings[column], ("source", "target")
        return {(side, getattr(reading, side)) for side in sides if hasattr(reading, side)}


_LEARNT, _FEWEST_LEARNT = 1500, 6
_EXAMINED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """The belief about one reading. ``column``: of ``reading`` in ``block``; ``score``: its
    evidence after the correction for all readings; ``members``: positions flagged by it, none when
    it does not suffice. ``tails``: of the honest, as the block's other readings showed them."""

    block: Block
    column: int
    tails: Array
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
    reading that was examined, passed or not; ``rest``: the strongest reading once everybody found
    has a free effect, None if none is worth examining; ``unfinished``: the search was cut off;
    ``strength``: the log-odds of the strongest reading; ``required``: what it needed."""

    found: tuple[Finding, ...]
    leading: Finding | None
    rest: Finding | None
    unfinished: bool
    strength: float
    required: float


_WORTH_EXAMINING = -3.5
"""A glance below this, after the correction, hides no finding where honest spreads are alike: it
errs by less. Elsewhere it may, for a round or two (``clearing``)."""
_WORTH_LATE = 0.2
"""Of the log-odds that a late window needs. Among 1,000 clients a glance errs by more: it showed a
third at least of what an examination found where that was over 10 (made-up ledgers of 30 to 1,000
clients with 10 and 43 classes, eight and sixteen late rounds)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """``seen`` (n,): bool, clients that were in an opened group; the others are never flagged.
    ``coverage``: independent group sums per client so far. ``present``: clients that the next
    round may invite; ``group_size``: the smallest mean size of a round's groups. ``accused``:
    found by other rounds too; whatever their effects are, they are not found here."""

    seen: NDArray[np.bool_]
    coverage: float
    present: frozenset[int]
    group_size: float
    accused: tuple[int, ...] = ()

    def required(self, params: VerdictParams) -> float:
        """Log-odds that a reading must reach."""
        return params.required(int(self.seen.sum()))

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


def select(
    blocks: Sequence[Block], cohort: Cohort, params: VerdictParams, *, late: bool = False
) -> Selection:
    """Find who stands apart in some reading, give those a free effect as the accused have one, and
    look again.

    ``late``: only flags count, not what clears (``windows``), so a reading that shows less than
    ``_WORTH_LATE`` of what is needed at a glance is not examined.
    """
    flagged = list(cohort.accused)
    found: list[Finding] = []
    leading: Finding | None = None
    rest: Finding | None = None
    strength, unfinished = 0.0, True
    for attempt in range(params.max_findings):
        best, odds = _strongest(blocks, flagged, cohort, params, late)
        if attempt == 0:
            leading, strength = best, odds
        if best is None or not best.members:
            rest, unfinished = best, False
            break
        found.append(best)
        flagged.extend(best.members)
    return Selection(tuple(found), leading, rest, unfinished, strength, cohort.required(params))


def _strongest(
    blocks: Sequence[Block], flagged: list[int], cohort: Cohort, params: VerdictParams, late: bool
) -> tuple[Finding | None, float]:
    """Examine the readings of each block that look best at a glance, ``flagged`` having free
    effects. Returns the strongest that was examined, None when none is worth it, and the largest
    log-odds: of the others at a glance; 0 when no reading says anything."""
    choice = math.log(sum(len(block.readings) for block in blocks))
    best: Finding | None = None
    noticed = -np.inf
    worth = _WORTH_LATE * cohort.required(params) if late else _WORTH_EXAMINING
    for block in blocks:
        closer, glanced = examined(block, flagged, choice, worth, 0 if late else _EXAMINED)
        noticed = max(noticed, glanced)
        for finding in closer:
            if best is None or finding.score > best.score:
                best = finding
                if finding.score >= cohort.required(params):
                    members = _members(finding.posterior, flagged, cohort, block.fades, params)
                    best = replace(finding, members=members)
    strength = noticed if best is None else max(noticed, best.score)
    return best, strength if math.isfinite(strength) else 0.0


def examined(
    block: Block, flagged: Sequence[int], choice: float, worth: float = -math.inf, few: int = 0
) -> tuple[list[Finding], float]:
    """The readings of ``block`` that look best at a glance, examined, ``flagged`` having free
    effects; nobody is flagged yet. None when they show less than ``worth`` after ``choice``, the
    correction for all readings, and are more than ``few``; and what they showed then, else −∞."""
    gaussians = block.gaussians.without(flagged)
    odds = glance(gaussians, block.shift, block.expected, USUAL) - choice
    order = np.argsort(-odds, kind="stable")[:_EXAMINED]
    if odds[order[0]] < worth and len(block.readings) > few:
        return [], float(odds[order[0]])
    found, others = [], block.untouched(int(order[0]))
    tails = learn_tails(gaussians, block.shift[others], block.typical[others])
    for column in map(int, order):
        spreads, log_prior = block.spreads.of(column)
        least = float(block.least[column])
        belief = examine(gaussians, block.shift[column], spreads, log_prior, tails, least)
        if belief.is_finite:
            found.append(Finding(block, column, tails, belief, belief.evidence - choice, ()))
    return found, -math.inf


def _members(
    belief: Posterior, flagged: list[int], cohort: Cohort, fades: bool, params: VerdictParams
) -> tuple[int, ...]:
    """Who is flagged by this belief: nobody when it would be half of the clients that are left."""
    open_ = cohort.open_to(flagged)
    settled = cohort.coverage >= params.settled
    members = _apart(belief, open_, params.inclusion if settled else params.early_inclusion)
    if settled or cohort.can_spare([*flagged, *members], fades):
        return members
    undecided = open_ & (belief.inclusion >= params.doubt)
    undecided[list(members)] = False
    if not undecided.any():
        return members
    # Little or nothing will be learnt about the rest once these are gone.
    ending = cohort.coverage >= params.ending
    return _apart(belief, open_, params.inclusion) if ending else ()


def steadfast(
    finding: Finding,
    others: Sequence[int],
    cohort: Cohort,
    dispersion: float,
    params: VerdictParams,
) -> tuple[int, ...]:
    """Members of ``finding`` that still stand out when sums scatter ``dispersion`` times as much
    as typical noise: the likelihood to the power 1 / ``dispersion`` (quasi-likelihood, McCullagh
    and Nelder 1989, section 9.2). ``others``: found in other readings or rounds.
    """
    block, column = finding.block, finding.column
    weight = 1.0 / max(dispersion, 1.0)
    spreads, log_prior = block.spreads.of(column)
    belief = examine(
        Gaussians(weight * block.gaussians.precision, others),
        weight * block.shift[column],
        spreads,
        log_prior,
        finding.tails,
        float(block.least[column]),
    )
    choice = finding.posterior.evidence - finding.score
    if belief.evidence - choice < cohort.required(params):
        return ()
    apart = _apart(belief, cohort.open_to(others), params.inclusion)
    return tuple(client for client in apart if client in finding.members)


def _apart(belief: Posterior, open_: NDArray[np.bool_], least: float) -> tuple[int, ...]:
    """Of ``open_`` (n,) those included with probability ``least``, if they are not half of it."""
    apart = open_ & (belief.inclusion >= least)
    if not apart.any() or 2 * int(apart.sum()) >= int(open_.sum()):
        return ()
    return tuple(int(row) for row in np.flatnonzero(apart))
