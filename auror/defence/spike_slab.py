"""Who carries an extra effect in one reading, and is that more likely than that nobody does?

A client's value x, in units of the honest spread, is drawn from one of two priors:

    honest     s · Σ_j w_j N(0, a_j²): mostly normal, a few odd clients (``HONEST``)
    attacker   a mixture of normals around the effects of ``SLABS``, with probability π

and what the opened sums say of x is the likelihood exp(−½ xᵀΛx + hᵀx) of ``decode``. Its
posterior has 2^n modes; expectation propagation (Minka 2001) gives every client's marginal and
the evidence in closed form, since every prior is a mixture of normals. s, π and the slab are not
known: the evidence is summed over a grid of them,

    evidence = log Σ p(s) p(π) p(slab) Z(s, π, slab) − log Σ p(s) Z(s, π = 0),

the log of the odds by which the sums speak for some attackers against none. A round's level
is free, so only differences count: the honest prior around 0 makes the majority honest.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slab:
    """Attackers' effects in honest spreads: equal parts N(m, (``relative``·m)² + s²).

    One mean: all have the same number of samples to mislabel, more or less. Several: label skew
    gives some many and some few."""

    means: tuple[float, ...]
    relative: float


HONEST = (np.array([1.0, 2.0, 3.0]), np.array([0.88, 0.10, 0.02]))
"""Deviations a_j in spreads and their weights w_j: the tails of honest off-diagonal entries, on
IID and skewed data alike (ADR 0017)."""
SLABS = (Slab((4.0, 8.0, 16.0), 0.5), Slab((5.0,), 0.35), Slab((8.0,), 0.35), Slab((13.0,), 0.35))
PRIORS = (0.03, 0.1, 0.3)
"""π: attackers' part of the cohort."""


@dataclass(frozen=True, slots=True)
class Spreads:
    """What is believed of s, a reading's own honest spread in the common one: log-normal around
    ``typical`` with standard deviation ``width``, on the points ``grid``."""

    grid: tuple[float, ...]
    typical: float
    width: float

    def log_prior(self) -> Array:
        """Of the points of the grid, (points,); sums to one."""
        prior: Array = -0.5 * (np.log(np.array(self.grid) / self.typical) / self.width) ** 2
        return prior - logsumexp(prior)


PAIR_SPREADS = Spreads((0.5, 0.7, 1.0, 1.4, 2.0), 0.85, 0.3)
LEARNING_SPREADS = Spreads((0.5, 0.85, 1.4, 2.4, 4.0), 0.9, 0.5)
"""As measured where nobody lies (ADR 0017). Readings along what the cohort learns differ more: with
skewed data clients differ in how far they go."""

_GLANCE_PRIOR = 0.2
_FREE = 1e-4  # precision of a client whose effect is free
_SWEEPS = 25
_DAMPING = 0.8
_SETTLED = 0.01  # largest move of a posterior mean in a sweep, in honest spreads
_LEAST, _MOST = 1e-6, 1e4  # bounds of precisions, against cavities that are not proper


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is believed of one reading.

    ``evidence``: natural log, for some attackers against none; no correction for the choice of
    the reading. Per client (n,): ``inclusion``, the probability in [0, 1] of being one, if there
    are any; ``effect`` and ``deviation``, posterior mean and standard deviation of x in honest
    spreads. Of a client with a free effect: 0, 0 and its effect.
    """

    evidence: float
    inclusion: Array
    effect: Array
    deviation: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Sites:
    """B models at once: the components of every client's prior, (B, 1, components), honest ones
    first; ``honest``: how many those are."""

    log_weight: Array
    mean: Array
    variance: Array
    honest: int

    def rows(self, chosen: NDArray[np.intp]) -> _Sites:
        """The models ``chosen`` alone."""
        return replace(
            self,
            log_weight=self.log_weight[chosen],
            mean=self.mean[chosen],
            variance=self.variance[chosen],
        )


def glance(precision: Array, shift: Array, free: Sequence[int]) -> Array:
    """A first look at every reading: one sweep, s = 1. Returns evidences (readings,).

    The first sweep has the same covariance for all readings, so it costs one inversion for all.
    It ranks readings as ``examine`` does when there is anything to find, and is at most a few
    units off (docs/defence.md, section 4); a reading that shows little here needs no examination.
    """
    kept = np.ones(len(precision), dtype=bool)
    kept[list(free)] = False
    start = np.where(kept, 1.0, _FREE)
    covariance = np.linalg.inv(precision + np.diag(start))
    variance = np.diag(covariance)
    certain = np.maximum(1.0 / variance - start, _LEAST)[kept]
    mean = ((shift @ covariance) / variance)[:, kept] / certain
    evidences = [
        _responsibilities(priors, mean, 1.0 / certain)[1].sum(axis=1) for priors in _glanced()
    ]
    found: Array = logsumexp(evidences[1:], axis=0) - np.log(len(SLABS)) - evidences[0]
    return found


@functools.cache
def _glanced() -> list[_Sites]:
    """The models that a glance compares, "nobody" first."""
    models = [(1.0, 0.0, SLABS[0]), *((1.0, _GLANCE_PRIOR, slab) for slab in SLABS)]
    return [_sites([model]) for model in models]


def examine(precision: Array, shift: Array, free: Sequence[int], spreads: Spreads) -> Posterior:
    """Expectation propagation for one reading.

    Args:
        precision: Λ (n, n).
        shift: h (n,).
        free: clients whose effect is free: flagged already, they say nothing about the others.
        spreads: what is believed of s.
    """
    log_z, inclusion, effect, variance = _propagate(precision, shift, free, _examined(spreads))
    joint = log_z.reshape(len(spreads.grid), -1) + spreads.log_prior()[:, None]
    nobody = float(logsumexp(joint[:, 0]))
    somebody = joint[:, 1:] - np.log(joint.shape[1] - 1)
    evidence = float(logsumexp(somebody))
    weight = np.zeros(joint.shape)
    weight[:, 1:] = np.exp(somebody - evidence)
    flat = weight.ravel()
    mean = flat @ effect
    spread = np.sqrt(np.maximum(flat @ (variance + effect**2) - mean**2, 0.0))
    return Posterior(evidence - nobody, flat @ inclusion, mean, spread)


@functools.cache
def _examined(spreads: Spreads) -> _Sites:
    """All models, s by s; for each s "nobody" first, then every π and slab."""
    alternatives = [(0.0, SLABS[0]), *((part, slab) for part in PRIORS for slab in SLABS)]
    return _sites([(s, part, slab) for s in spreads.grid for part, slab in alternatives])


def _sites(models: Sequence[tuple[float, float, Slab]]) -> _Sites:
    """From (s, π, slab) to the components of all models; slabs are padded to equal length."""
    deviations, weights = HONEST
    longest = max(len(slab.means) for _, _, slab in models)
    logs, means, variances = [], [], []
    for s, part, slab in models:
        centres = np.resize(np.asarray(slab.means), longest)
        share = np.full(longest, part / longest)
        with np.errstate(divide="ignore"):
            logs.append(np.log(np.concatenate([(1.0 - part) * weights, share])))
        means.append(np.concatenate([np.zeros(len(weights)), centres]))
        variances.append(
            np.concatenate([(s * deviations) ** 2, (slab.relative * centres) ** 2 + s**2])
        )
    log_weight, mean, variance = (np.stack(rows)[:, None, :] for rows in (logs, means, variances))
    return _Sites(log_weight, mean, variance, len(weights))


def _responsibilities(sites: _Sites, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Under cavities N(``mean``, ``variance``), (B, n) or (n,): each component's part
    (B, n, components) and the log of the prior predictive density (B, n) up to a constant."""
    total = sites.variance + variance[..., None]
    log = sites.log_weight - 0.5 * np.log(total)
    log = log - 0.5 * (mean[..., None] - sites.mean) ** 2 / total
    largest = log.max(axis=-1, keepdims=True)
    part = np.exp(log - largest)
    total = part.sum(axis=-1, keepdims=True)
    return part / total, (largest + np.log(total))[..., 0]


def _cavity(mean: Array, variance: Array, tight: Array, pull: Array) -> tuple[Array, Array]:
    """The posterior without each client's own site: precisions and shifts (B, n)."""
    return np.maximum(1.0 / variance - tight, _LEAST), mean / variance - pull


def _propagate(
    precision: Array, shift: Array, free: Sequence[int], sites: _Sites
) -> tuple[Array, Array, Array, Array]:
    """Returns log Z (B,), and per client (B, n): inclusion, posterior mean and variance.

    Minka 2001, section 3.2, for all clients in parallel, damped. The sites start as wide as the
    honest prior.
    """
    models, n = sites.mean.shape[0], len(precision)
    tight = np.repeat(1.0 / sites.variance[:, :, 0], n, axis=1)  # site precisions (B, n)
    tight[:, list(free)] = _FREE
    pull = np.zeros((models, n))  # site shifts
    diagonal = np.arange(n)
    held = np.zeros(n, dtype=bool)
    held[list(free)] = True

    def posterior(rows: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        full = np.repeat(precision[None], len(rows), axis=0)
        full[:, diagonal, diagonal] += tight[rows]
        covariance = np.linalg.inv(full)
        mean: Array = np.einsum("bij,bj->bi", covariance, shift + pull[rows])
        return full, mean, np.asarray(covariance[:, diagonal, diagonal], dtype=np.float64)

    believed = np.full((models, n), np.inf)
    moving = every = np.arange(models)
    for _ in range(_SWEEPS):
        _full, mean, variance = posterior(moving)
        own = sites.rows(moving)
        certain, lean = _cavity(mean, variance, tight[moving], pull[moving])
        part, _normal = _responsibilities(own, lean / certain, 1.0 / certain)
        inner = 1.0 / (1.0 / own.variance + certain[..., None])
        centre = inner * (own.mean / own.variance + lean[..., None])
        tilted = np.sum(part * centre, axis=-1)
        spread = np.sum(part * (inner + centre**2), axis=-1) - tilted**2
        wanted = np.clip(1.0 / spread - certain, _FREE, _MOST)
        tight[moving] += _DAMPING * (np.where(held, _FREE, wanted) - tight[moving])
        pull[moving] += _DAMPING * (np.where(held, 0.0, tilted / spread - lean) - pull[moving])
        far = np.max(np.where(held, 0.0, np.abs(mean - believed[moving])), axis=1) >= _SETTLED
        believed[moving] = mean
        moving = moving[far]
        if not len(moving):
            break
    full, mean, variance = posterior(every)
    certain, lean = _cavity(mean, variance, tight, pull)
    part, normal = _responsibilities(sites, lean / certain, 1.0 / certain)
    # log of ∫ cavity · site, which the evidence must not count twice
    overlap = 0.5 * np.log(certain / (certain + tight)) + 0.5 * (
        (lean + pull) ** 2 / (certain + tight) - lean**2 / certain
    )
    log_z = -0.5 * np.linalg.slogdet(full)[1] + 0.5 * np.sum((shift + pull) * mean, axis=1)
    log_z = log_z + np.where(held, 0.0, normal - overlap).sum(axis=1)
    inclusion = np.where(held, 0.0, part[..., sites.honest :].sum(axis=-1))
    return log_z, inclusion, mean, variance
