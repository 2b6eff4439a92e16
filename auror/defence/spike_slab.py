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

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
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
_CHOICES = [(0.0, 0), *((part, slab) for part in PRIORS for slab in range(len(SLABS)))]
_MEANS = np.array([np.resize(slab.means, max(len(s.means) for s in SLABS)) for slab in SLABS]).T
_RELATIVE = np.array([slab.relative for slab in SLABS])

_GLANCES = (0.03, 0.2)  # π of a first look, with the widest slab
_AT_ONCE = 1 << 16  # values of a first look at once, which bounds its memory
_SWEEPS = 12
_TAIL_SWEEPS, _TAIL_STEPS = 5, 3
_DAMPING = 0.8
_SETTLED = 0.02  # largest move of a posterior mean in a sweep, in honest spreads
_LEAST, _MOST = 1e-6, 1e4  # bounds of precisions, against cavities that are not proper
_LOOSEST = 1e-4  # least precision of a site
_NARROWEST = 1e-9  # least variance of a client


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is believed of one reading.

    ``evidence``: natural log, for some attackers against none; no correction for the choice of
    the reading. Per client (n,): ``inclusion``, the probability in [0, 1] of being one, if there
    are any; ``effect`` and ``deviation``, posterior mean and standard deviation of x in the
    reading's own honest spreads. Of a client with a free effect: 0, its effect, and the deviation
    that this has when those of the others are known.
    """

    evidence: float
    inclusion: Array
    effect: Array
    deviation: Array

    @property
    def is_finite(self) -> bool:
        """Whether it says anything: lies of 10^15 honest effects leave numbers that do not."""
        return all(np.isfinite(part).all() for part in (self.evidence, self.effect, self.deviation))


@dataclass(frozen=True, slots=True, eq=False)
class _Sites:
    """B models (s, w, π and slab) at once: the components of every client's prior, (components,
    B, 1), honest ones first; ``honest``: how many those are."""

    log_weight: Array
    mean: Array
    variance: Array
    honest: int

    @classmethod
    def of(
        cls,
        spreads: Array,
        tails: Array,
        parts: Array,
        slabs: NDArray[np.intp],
        least: float = 0.0,
    ) -> _Sites:
        """Of s, π (0: nobody attacks) and the slab, an index of ``SLABS``: (B,) each; and of w.
        Attackers have no components where no model has attackers."""
        centres = np.maximum(spreads * _MEANS[:, slabs], 2.0 * least)[: None if parts.any() else 0]
        apart = _RELATIVE[slabs] * centres
        if least > 0.0:
            apart = np.minimum(apart, (centres - least) / 2.0)
        honest, equal = np.outer(tails, 1.0 - parts), np.ones((len(centres), 1)) / len(_MEANS)
        with np.errstate(divide="ignore"):
            log_weight = np.log(np.concatenate([honest, equal * parts]))
        mean = np.concatenate([np.zeros(honest.shape), centres])
        variance = np.concatenate([np.outer(ODD, spreads) ** 2, apart**2 + spreads**2])
        return cls(log_weight[..., None], mean[..., None], variance[..., None], len(ODD))

    def rows(self, chosen: NDArray[np.intp]) -> _Sites:
        """The models ``chosen`` alone."""
        return replace(
            self,
            log_weight=self.log_weight[:, chosen],
            mean=self.mean[:, chosen],
            variance=self.variance[:, chosen],
        )


def glance(around: Gaussians, shift: Array, spreads: Array, tails: Array) -> Array:
    """A first look at every reading: one sweep. Returns evidences (readings,).

    The first sweep has the same covariance for all readings, so it costs one inversion for all.
    It ranks readings as ``examine`` does when there is anything to find, and is at most a few
    units off; a reading that shows little here needs no examination.

    Args:
        spreads: s of every reading (readings,). The others: as for ``examine``.
    """
    start = np.full(int(around.open_.sum()), 1.0 / float(np.median(spreads)) ** 2)
    covariance = around.covariance(start)
    variance = np.diag(covariance)
    certain = np.maximum(1.0 / variance - start, _LEAST)
    alone = covariance / (variance * certain)
    mean = around.pull(shift) @ alone / spreads[:, None]
    own = spreads[:1] if np.ptp(spreads) == 0.0 else spreads  # one row serves readings alike
    wide = 1.0 / certain / own[:, None] ** 2
    one = np.ones(1)
    sites = _Sites.of(one, tails, 0.5 * one, np.zeros(1, dtype=np.intp))
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


def learn_tails(around: Gaussians, shifts: Array, spreads: Array) -> Array:
    """w (len(ODD),): how many honest clients are how odd, from readings that nobody is suspected
    in, by expectation-maximisation from ``USUAL``.

    Args:
        around: as for ``examine``.
        shifts: h of those readings (readings, n). spreads: s of each (readings,).
    """
    weights, nobody = USUAL, np.zeros(len(spreads))
    pull = around.pull(shifts)
    for _ in range(_TAIL_STEPS if len(shifts) else 0):
        sites = _Sites.of(spreads, weights, nobody, nobody.astype(np.intp))
        part = _propagate(around, pull, sites, _TAIL_SWEEPS)[3]
        counted = _COUNTED * USUAL + part.sum(axis=(1, 2))
        weights = counted / counted.sum()
    return weights


def examine(
    around: Gaussians,
    shift: Array,
    spreads: Array,
    log_prior: Array,
    tails: Array,
    least: float,
) -> Posterior:
    """Expectation propagation for one reading.

    Args:
        around: with Λ (n, n), and those whose effect is free: flagged already, they say nothing
            about the others.
        shift: h (n,).
        spreads: s on a grid (points,), in units of x; ``log_prior``: of each, sums to one.
        tails: w, as ``learn_tails`` found it.
        least: effect below which nobody is an attacker, in units of x; 0: any.
    """
    parts, slabs = zip(*_CHOICES, strict=True)
    own, points = np.repeat(spreads, len(_CHOICES)), len(spreads)
    sites = _Sites.of(own, tails, np.tile(parts, points), np.tile(slabs, points), least)
    shifts = np.repeat(shift[None], len(own), axis=0)
    log_z, mean, variance, part = _propagate(around, around.pull(shifts), sites, _SWEEPS)
    joint = log_z.reshape(points, -1) + log_prior[:, None]
    nobody = float(logsumexp(joint[:, 0]))
    somebody = joint[:, 1:] - np.log(joint.shape[1] - 1)
    evidence = float(logsumexp(somebody))
    weight = np.zeros(joint.shape)
    weight[:, 1:] = np.exp(somebody - evidence)
    flat = weight.ravel()
    inclusion = np.zeros(len(around))
    inclusion[around.open_] = flat @ part[sites.honest :].sum(axis=0)
    mean, variance = around.everybody(shifts, mean, variance)
    effect = (flat / own) @ mean
    spread = np.sqrt(np.maximum((flat / own**2) @ (variance + mean**2) - effect**2, 0.0))
    return Posterior(evidence - nobody, inclusion, effect, spread)


def _weighed(sites: _Sites, mean: Array, variance: Array) -> Array:
    """Under cavities N(``mean``, ``variance``), (B, n): log of every component's part of the prior
    predictive density, (components, B, n). In place, here and below: to ask the system for so much
    memory takes longer than the arithmetic."""
    total = sites.variance + variance
    log = mean - sites.mean
    log *= log
    log /= total
    log += np.log(total, out=total)
    log *= -0.5
    log += sites.log_weight
    return log


def _responsibilities(sites: _Sites, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Under cavities N(``mean``, ``variance``), (B, n): each component's part
    (components, B, n) and the log of the prior predictive density (B, n) up to a constant."""
    part = _weighed(sites, mean, variance)
    largest = part.max(axis=0)
    part -= largest
    np.exp(part, out=part)
    total = part.sum(axis=0)
    part /= total
    return part, largest + np.log(total)


def _tilted(sites: _Sites, part: Array, certain: Array, lean: Array) -> tuple[Array, Array]:
    """Means and variances (B, n) of prior times cavity, its precision ``certain`` and shift
    ``lean`` (B, n); ``part``: as ``_responsibilities`` has it."""
    inner = certain + 1.0 / sites.variance
    np.divide(1.0, inner, out=inner)
    centre = lean + sites.mean / sites.variance
    centre *= inner
    mean = np.einsum("cbi,cbi->bi", part, centre)
    centre *= centre
    centre += inner
    return mean, np.maximum(np.einsum("cbi,cbi->bi", part, centre) - mean**2, _NARROWEST)


def _propagate(
    around: Gaussians, shift: Array, sites: _Sites, sweeps: int
) -> tuple[Array, Array, Array, Array]:
    """For those whose effect is not free, of whom ``shift`` is (B, n): log Z up to a constant of
    all models (B,), posterior means and variances (B, n), components' parts (components, B, n).

    Minka 2001, section 3.2, for all clients in parallel, damped. The sites start as wide as the
    honest prior.
    """
    tight = np.repeat(1.0 / sites.variance[0], shift.shape[1], axis=1)  # site precisions (B, n)
    pull = np.zeros(tight.shape)  # site shifts
    means, variances = np.full(tight.shape, np.inf), np.empty(tight.shape)
    parts, log_z = np.empty((len(sites.mean), *tight.shape)), np.empty(len(tight))
    moving = np.arange(len(tight))
    for sweep in range(sweeps + 1):
        own, site, told = sites.rows(moving), tight[moving], pull[moving]
        before, whole = means[moving], shift[moving] + told
        mean, variance, log_det = around.solve(site, whole, before if sweep else None)
        # The posterior without each client's own site: its cavity.
        certain, lean = np.maximum(1.0 / variance - site, _LEAST), mean / variance - told
        part, normal = _responsibilities(own, lean / certain, 1.0 / certain)
        # log of ∫ cavity · site, which the evidence must not count twice
        both = certain + site
        overlap = np.log(certain / both) + (lean + told) ** 2 / both - lean**2 / certain
        log_z[moving] = np.sum(0.5 * (whole * mean - overlap) + normal, axis=1) - 0.5 * log_det
        means[moving], variances[moving], parts[:, moving] = mean, variance, part
        on = np.max(np.abs(mean - before), axis=1) >= _SETTLED * np.sqrt(own.variance[0, :, 0])
        if sweep == sweeps or not on.any():
            break
        tilted, spread = _tilted(own, part, certain, lean)
        wanted = np.clip(1.0 / spread - certain, _LOOSEST, _MOST)
        tight[moving] += _DAMPING * (wanted - site)
        pull[moving] += _DAMPING * (tilted / spread - lean - told)
        moving = moving[on]
    return log_z, means, variances, parts
