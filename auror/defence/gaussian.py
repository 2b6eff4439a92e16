"""Means and variances of many Gaussians that share a precision matrix but for its diagonal.

Expectation propagation needs, in every sweep and for every model, the diagonal of
(Λ + diag t)⁻¹ and (Λ + diag t)⁻¹h. Exactly that is an inversion of n × n per model. In cohorts of
many hundreds random groups leave Λ no direction of its own, so that what the others say of a
client is nearly one number γ, which follows from Λ's eigenvalues λ alone (free probability;
adaptive TAP, Opper and Winther 2001; vector approximate message passing, Rangan et al. 2019):

    v_i = 1 / (t_i + γ),   mean of v_i = mean of 1 / (λ_k + τ) = v,   γ + τ = 1 / v
    log det ≈ Σ_k log(λ_k + τ) + Σ_i log(t_i + γ) + n log v

for Λ scaled to a unit diagonal, with the means by conjugate gradients, which is exact.

Clients with a free effect are integrated out beforehand, which leaves the Schur complement of
theirs in Λ.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]

FREE = 1e-4
"""Precision of a client whose effect is free."""
EXACT_UP_TO = 120
"""Clients up to which every model is inverted."""
_STEPS = 40
_CLOSE = 1e-4
_FREE_STEPS, _FREE_CLOSE = 60, 1e-6
_LEAST_OWN = 1e-3  # of the largest: a client that is in no group has no diagonal of its own
_TINY = 1e-12


class Gaussians:
    """exp(−½ xᵀΛx + hᵀx) over n clients, those in ``free`` integrated out, times
    exp(−½ yᵀ diag(t) y + gᵀy) over the k others, y, for many pairs of t and g at once.

    ``precision`` is Λ (n, n), positive semidefinite. Built once for all readings that share it.
    ``open_`` (n,), bool: the k others.
    """

    def __init__(self, precision: Array, free: Sequence[int] = ()) -> None:
        self.precision = precision
        self.open_ = np.ones(len(precision), dtype=bool)
        self.open_[list(free)] = False
        shut = ~self.open_
        self._across = precision[np.ix_(shut, self.open_)]
        root = _inverse_roots((precision[np.ix_(shut, shut)] + FREE * np.eye(shut.sum()))[None])[0]
        self._freed: Array = root @ root.T  # covariance of the free if nobody else has an effect
        told = root.T @ self._across
        self._left: Array = precision[np.ix_(self.open_, self.open_)] - told.T @ told
        self._own = np.diag(self._left).copy()
        self._many = len(self._own) > EXACT_UP_TO
        if self._many:
            self._far = self._left - np.diag(self._own)
            self._unit = np.maximum(self._own, _LEAST_OWN * float(self._own.max()))

    def __len__(self) -> int:
        """n."""
        return len(self.precision)

    def without(self, free: Sequence[int]) -> Gaussians:
        """The same with other clients integrated out: those in ``free``."""
        return Gaussians(self.precision, free) if len(free) or not self.open_.all() else self

    def pull(self, shift: Array) -> Array:
        """What is left of ``shift`` h (B, n) for the others, (B, k)."""
        pulled: Array = shift[:, self.open_] - shift[:, ~self.open_] @ self._freed @ self._across
        return pulled

    def everybody(self, shift: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Means and variances of all clients (B, n), from h (B, n) and those of the others (B, k).
        The variance of a free client is that with the others' effects known."""
        means, variances = np.empty(shift.shape), np.empty(shift.shape)
        means[:, self.open_], variances[:, self.open_] = mean, variance
        means[:, ~self.open_] = (shift[:, ~self.open_] - mean @ self._across.T) @ self._freed
        variances[:, ~self.open_] = np.diag(self._freed)
        return means, variances

    @functools.cached_property
    def _eigenvalues(self) -> Array:
        """λ."""
        scaled = self._left / np.sqrt(np.outer(self._unit, self._unit))
        return np.maximum(np.linalg.eigvalsh(scaled), 0.0)

    def solve(
        self, tight: Array, pull: Array, near: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Means and variances of the others (B, k) and log det(Λ′ + diag t) (B,), Λ′ the Schur
        complement, for ``tight`` t and ``pull``, what is left of h plus g, both (B, k). Numbers
        that are not finite where the precision is not positive definite to rounding.

        ``near`` (B, k): what the means are about.
        """
        return self._expanded(tight, pull, near) if self._many else self._exact(tight, pull)

    def covariance(self, tight: Array) -> Array:
        """(Λ′ + diag t)⁻¹ (k, k) for one ``tight`` t (k,)."""
        (root,) = _inverse_roots((self._left + np.diag(tight))[None])
        whole: Array = root @ root.T
        return whole

    def _exact(self, tight: Array, pull: Array) -> tuple[Array, Array, Array]:
        full = np.repeat(self._left[None], len(tight), axis=0)
        diagonal = np.arange(len(self._own))
        full[:, diagonal, diagonal] += tight
        root = _inverse_roots(full)
        mean = np.einsum("bij,bj->bi", root, np.einsum("bji,bj->bi", root, pull))
        variance = np.einsum("bij,bij->bi", root, root)
        return mean, variance, -2.0 * np.log(root[:, diagonal, diagonal]).sum(axis=1)

    def _expanded(
        self, tight: Array, pull: Array, near: Array | None
    ) -> tuple[Array, Array, Array]:
        scaled = tight / self._unit
        around, within = self._free(scaled)
        variance = 1.0 / (scaled + around) / self._unit
        log_det = np.log(self._eigenvalues[None, :] + within).sum(axis=1)
        log_det += np.log(scaled + around).sum(axis=1) + np.log(self._unit).sum()
        log_det -= len(self._own) * np.log(around + within)[:, 0]
        return self._conjugate_gradients(self._own + tight, pull, near), variance, log_det

    def _free(self, scaled: Array) -> tuple[Array, Array]:
        """γ and τ (B, 1) for t in units of Λ's diagonal (B, n)."""
        within = scaled.mean(axis=1, keepdims=True)
        for _ in range(_FREE_STEPS):
            mean = np.mean(1.0 / (self._eigenvalues[None, :] + within), axis=1, keepdims=True)
            around = np.maximum(1.0 / mean - within, _TINY)
            mean = np.mean(1.0 / (scaled + around), axis=1, keepdims=True)
            before, within = within, np.maximum(1.0 / mean - around, _TINY)
            if np.all(np.abs(within - before) <= _FREE_CLOSE * before):
                break
        return around, within

    def _conjugate_gradients(self, own: Array, shift: Array, near: Array | None) -> Array:
        """(Λ + diag t)⁻¹h, preconditioned with the diagonal."""
        x = shift / own if near is None else near
        left = shift - own * x - x @ self._far
        along = left / own
        power = np.sum(left * along, axis=1, keepdims=True)
        enough = _CLOSE**2 * np.sum(shift**2 / own, axis=1, keepdims=True)
        for _ in range(_STEPS):
            if np.all(power <= enough):
                break
            moved = own * along + along @ self._far
            step = power / np.maximum(np.sum(along * moved, axis=1, keepdims=True), 1e-300)
            x = x + step * along
            left = left - step * moved
            ready = left / own
            following = np.sum(left * ready, axis=1, keepdims=True)
            along = ready + following / np.maximum(power, 1e-300) * along
            power = following
        return x


def _inverse_roots(matrices: Array) -> Array:
    """R (B, n, n) with RRᵀ = A⁻¹, upper triangular, for every A in ``matrices``, which it may
    overwrite; NaN where A is not positive definite. LAPACK by itself: a third of the time of
    numpy's inverse, and an A that has none is no error."""
    for matrix in matrices if matrices.size else ():
        root, failed = lapack.dpotrf(matrix.T, lower=True, overwrite_a=True)
        matrix.T[...] = np.nan if failed else lapack.dtrtri(root, lower=True, overwrite_c=True)[0]
    return matrices
