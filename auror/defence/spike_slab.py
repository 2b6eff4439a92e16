"""Who carries an extra effect in one reading, and is that more likely than that nobody does?

A client's value x is drawn from one of two priors, s the reading's own honest spread:

    honest     s · Σ_j w_j N(0, a_j²): mostly normal, a few odd clients (``ODD``)
    attacker   a mixture of normals around s times the effects of ``SLABS``, with probability π;
               around at least twice a reading's least effect, so that this is two deviations away

and what the opened sums say of x is the likelihood exp(−½ xᵀΛx + hᵀx) of ``decode``. Its
posterior has 2^n modes; expectation propagation (Minka 2001) gives every client's marginal and
the evidence in closed form, since every prior is a mixture of normals. s, π and the slab are not
known: the evidence is summed over a grid of them,

    evidence = log Σ p(s) p(π) p(slab) Z(s, π, slab) − log Σ p(s) Z(s, π = 0),

the log of the odds by which the sums speak for some attackers against none. How heavy honest
tails are, w, is learnt from other readings of the same run (``learn_tails``). A round's level is
free, so only differences count: the honest prior around 0 makes the majority honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import logsumexp

from auror.defence.gaussian import Gaussians

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slab:
    """Attackers' effects in honest spreads: equal parts N(m, (``relative``·m)² + 1).

    One mean: all have the same number of samples to mislabel, more or less. Several: label skew
    gives some many and some few."""

    means: tuple[float, ...]
    relative: float


ODD = np.array([1.0, 2.0, 3.0, 6.0])
"""Deviations a_j of honest clients, in spreads."""
USUAL = np.array([0.88, 0.10, 0.018, 0.002])
"""Their weights w_j before a run has shown any: the tails of honest label pairs, on IID and skewed
data alike (ADR 0017)."""
_COUNTED = 60.0  # clients' worth of belief in USUAL
SLABS = (Slab((4.0, 8.0, 16.0), 0.5), Slab((5.0,), 0.35), Slab((8.0,), 0.35), Slab((13.0,), 0.35))
PRIORS = (0.03, 0.1, 0.3)
"""π: attackers' part of the cohort."""

_GLANCES = (0.03, 0.2)  # π of a first look, with the widest slab
_AT_ONCE = 1 << 16  # values of a first look at once, which bounds its memory
FREE = 1e-4
"""Precision of a client whose effect is free."""
_SWEEPS = 12
_TAIL_SWEEPS, _TAIL_STEPS = 5, 3
_DAMPING = 0.8
_SETTLED = 0.02  # largest move of a posterior mean in a sweep, in honest spreads
_LEAST, _MOST = 1e-6, 1e4  # bounds of precisions, against cavities that are not proper


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is believed of one reading.

    ``evidence``: natural log, for some attackers against none; no correction for the choice of
    the reading. Per client (n,): ``inclusion``, the probability in [0, 1] of being one, if there
    are any; ``effect`` and ``deviation``, posterior mean and standard deviation of x in the
    reading's own honest spreads. Of a client with a free effect: 0, 0 and its effect.
    """

    evidence: float
    inclusion: Array
    effect: Array
    deviation: Array

    @property
    def is_finite(self) -> bool:
        """Whether it says anything: lies of 10^15 honest effects leave numbers that do not."""
        return all(np.isfinite(part).all() for part in (self.evidence, self.effect, self.deviation))


_Model = tuple[float, Array, float, Slab]
"""s, w, π and the slab; π = 0: nobody attacks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sites:
    """B models at once: the components of every client's prior, (components, B, 1), honest ones
    first; ``honest``: how many those are."""

    log_weight: Array
    mean: Array
    variance: Array
    honest: int

    @classmethod
    def of(cls, models: Sequence[_Model], least: float = 0.0) -> _Sites:
        longest = max(len(slab.means) for _, _, _, slab in models)
        logs, means, variances = [], [], []
        for s, weights, part, slab in models:
            centres = np.maximum(s * np.resize(np.asarray(slab.means), longest), 2.0 * least)
            apart = slab.relative * centres
            if least > 0.0:
                apart = np.minimum(apart, (centres - least) / 2.0)
            share = np.full(longest, part / longest)
            with np.errstate(divide="ignore"):
                logs.append(np.log(np.concatenate([(1.0 - part) * weights, share])))
            means.append(np.concatenate([np.zeros(len(weights)), centres]))
            variances.append(np.concatenate([(s * ODD) ** 2, apart**2 + s**2]))
        log_weight, mean, variance = (
            np.stack(r, axis=1)[:, :, None] for r in (logs, means, variances)
        )
        return cls(log_weight, mean, variance, len(ODD))

    def rows(self, chosen: NDArray[np.intp]) -> _Sites:
        """The models ``chosen`` alone."""
        return replace(
            self,
            log_weight=self.log_weight[:, chosen],
            mean=self.mean[:, chosen],
            variance=self.variance[:, chosen],
        )


def glance(
    around: Gaussians, shift: Array, spreads: Array, tails: Array, free: Sequence[int]
) -> Array:
    """A first look at every reading: one sweep. Returns evidences (readings,).

    The first sweep has the same covariance for all readings, so it costs one inversion for all.
    It ranks readings as ``examine`` does when there is anything to find, and is at most a few
    units off; a reading that shows little here needs no examination.

    Args:
        spreads: s of every reading (readings,). The others: as for ``examine``.
    """
    kept = np.ones(len(around), dtype=bool)
    kept[list(free)] = False
    start = np.where(kept, 1.0 / float(np.median(spreads)) ** 2, FREE)
    covariance = linalg.inv(around.precision + np.diag(start), check_finite=False)
    variance = np.diag(covariance)
    certain = np.maximum(1.0 / variance - start, _LEAST)
    alone = (covariance / (variance * certain))[:, kept]
    mean = shift @ alone / spreads[:, None]
    own = spreads[:1] if np.ptp(spreads) == 0.0 else spreads  # one row serves readings alike
    wide = 1.0 / certain[kept] / own[:, None] ** 2
    sites = _Sites.of([(1.0, tails, 0.5, SLABS[0])])
    parts = max(mean.size // _AT_ONCE, 1)
    widths = np.array_split(wide, parts) if len(wide) == len(mean) else [wide] * parts
    return np.concatenate(
        [
            _compared(*_log_densities(sites, m, v))
            for m, v in zip(np.array_split(mean, parts), widths, strict=True)
        ]
    )


def _compared(honest: Array, attacker: Array) -> Array:
    """Evidence (B,) for some attackers, ``_GLANCES`` of the cohort, against nobody: from the log
    densities of either kind, (B, n)."""
    more = attacker - honest
    most = np.maximum(more, 0.0)
    odds, other = np.exp(more - most), np.exp(-most)
    some = [(most + np.log(part * odds + (1.0 - part) * other)).sum(axis=1) for part in _GLANCES]
    found: Array = logsumexp(some, axis=0) - np.log(len(some))
    return found


def _log_densities(sites: _Sites, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Under cavities N(``mean``, ``variance``), (B, n): log prior predictive density (B, n) of an
    honest client and of an attacker, up to a constant for both; ``sites`` is of as many of one kind
    as of the other."""
    log = _weighed(sites, mean, variance)
    return _log_sum(log[: sites.honest]), _log_sum(log[sites.honest :])


def _log_sum(log: Array) -> Array:
    """log Σ exp over the first axis; quicker than scipy's, which looks at signs and infinities."""
    largest = log.max(axis=0)
    total: Array = largest + np.log(np.exp(log - largest).sum(axis=0))
    return total


def learn_tails(around: Gaussians, shifts: Array, spreads: Array, free: Sequence[int]) -> Array:
    """w (len(ODD),): how many honest clients are how odd, from readings that nobody is suspected
    in, by expectation-maximisation from ``USUAL``.

    Args:
        shifts: h of those readings (readings, n). spreads: s of each (readings,).
        free: as for ``examine``.
    """
    weights = USUAL
    open_ = np.ones(len(around), dtype=bool)
    open_[list(free)] = False
    for _ in range(_TAIL_STEPS if len(shifts) else 0):
        sites = _Sites.of([(float(s), weights, 0.0, SLABS[0]) for s in spreads])
        part = _propagate(around, shifts, free, sites, _TAIL_SWEEPS)[4]
        counted = _COUNTED * USUAL + part[: len(ODD), :, open_].sum(axis=(1, 2))
        weights = counted / counted.sum()
    return weights


def examine(
    around: Gaussians,
    shift: Array,
    spreads: Array,
    log_prior: Array,
    tails: Array,
    free: Sequence[int],
    least: float,
) -> Posterior:
    """Expectation propagation for one reading.

    Args:
        around: with Λ (n, n).
        shift: h (n,).
        spreads: s on a grid (points,), in units of x; ``log_prior``: of each, sums to one.
        tails: w, as ``learn_tails`` found it.
        free: clients whose effect is free: flagged already, they say nothing about the others.
        least: effect below which nobody is an attacker, in units of x; 0: any.
    """
    choices = [(0.0, SLABS[0]), *((part, slab) for part in PRIORS for slab in SLABS)]
    models = [(float(s), tails, part, slab) for s in spreads for part, slab in choices]
    shifts = np.repeat(shift[None], len(models), axis=0)
    log_z, inclusion, effect, variance, _ = _propagate(
        around, shifts, free, _Sites.of(models, least), _SWEEPS
    )
    joint = log_z.reshape(len(spreads), -1) + log_prior[:, None]
    nobody = float(logsumexp(joint[:, 0]))
    somebody = joint[:, 1:] - np.log(joint.shape[1] - 1)
    evidence = float(logsumexp(somebody))
    weight = np.zeros(joint.shape)
    weight[:, 1:] = np.exp(somebody - evidence)
    flat = weight.ravel()
    own = np.repeat(spreads, len(choices))[:, None]
    mean = flat @ (effect / own)
    spread = np.sqrt(np.maximum(flat @ ((variance + effect**2) / own**2) - mean**2, 0.0))
    return Posterior(evidence - nobody, flat @ inclusion, mean, spread)


def _responsibilities(sites: _Sites, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Under cavities N(``mean``, ``variance``), (B, n): each component's part
    (components, B, n) and the log of the prior predictive density (B, n) up to a constant."""
    log = _weighed(sites, mean, variance)
    largest = log.max(axis=0)
    part = np.exp(log - largest)
    total = part.sum(axis=0)
    return part / total, largest + np.log(total)


def _weighed(sites: _Sites, mean: Array, variance: Array) -> Array:
    """Log of every component's part of the prior predictive density, (components, B, n)."""
    total = sites.variance + variance
    return sites.log_weight - 0.5 * (np.log(total) + (mean - sites.mean) ** 2 / total)


def _propagate(
    around: Gaussians, shift: Array, free: Sequence[int], sites: _Sites, sweeps: int
) -> tuple[Array, Array, Array, Array, Array]:
    """Returns log Z (B,), and per client (B, n): inclusion, posterior mean and variance; and the
    components' parts (components, B, n). ``shift`` (B, n).

    Minka 2001, section 3.2, for all clients in parallel, damped. The sites start as wide as the
    honest prior.
    """
    n = len(around)
    tight = np.repeat(1.0 / sites.variance[0], n, axis=1)  # site precisions (B, n)
    tight[:, list(free)] = FREE
    pull = np.zeros(tight.shape)  # site shifts
    held = np.zeros(n, dtype=bool)
    held[list(free)] = True
    usual = np.sqrt(sites.variance[0])

    def cavity(mean: Array, variance: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """The posterior without each client's own site: precisions and shifts."""
        return np.maximum(1.0 / variance - tight[rows], _LEAST), mean / variance - pull[rows]

    believed = np.full(tight.shape, np.inf)
    moving = every = np.arange(len(tight))
    for sweep in range(sweeps):
        near = believed[moving] if sweep else None
        mean, variance = around.moments(tight[moving], shift[moving] + pull[moving], near)
        own = sites.rows(moving)
        certain, lean = cavity(mean, variance, moving)
        part, _normal = _responsibilities(own, lean / certain, 1.0 / certain)
        inner = 1.0 / (1.0 / own.variance + certain)
        centre = inner * (own.mean / own.variance + lean)
        tilted = np.sum(part * centre, axis=0)
        spread = np.sum(part * (inner + centre**2), axis=0) - tilted**2
        wanted = np.clip(1.0 / np.maximum(spread, 1e-9) - certain, FREE, _MOST)
        pulled = tilted / np.maximum(spread, 1e-9) - lean
        tight[moving] += _DAMPING * (np.where(held, FREE, wanted) - tight[moving])
        pull[moving] += _DAMPING * (np.where(held, 0.0, pulled) - pull[moving])
        step = np.max(np.where(held, 0.0, np.abs(mean - believed[moving])), axis=1)
        believed[moving] = mean
        moving = moving[step >= _SETTLED * usual[moving, 0]]
        if not len(moving):
            break
    mean, variance = around.moments(tight, shift + pull, believed)
    certain, lean = cavity(mean, variance, every)
    part, normal = _responsibilities(sites, lean / certain, 1.0 / certain)
    # log of ∫ cavity · site, which the evidence must not count twice
    overlap = 0.5 * np.log(certain / (certain + tight)) + 0.5 * (
        (lean + pull) ** 2 / (certain + tight) - lean**2 / certain
    )
    log_z = 0.5 * np.sum((shift + pull) * mean, axis=1) - 0.5 * around.log_det(tight)
    log_z = log_z + np.where(held, 0.0, normal - overlap).sum(axis=1)
    inclusion = np.where(held, 0.0, part[sites.honest :].sum(axis=0))
    return log_z, inclusion, mean, variance, part
