"""Means and variances of many Gaussians that share a precision matrix but for its diagonal.

Expectation propagation needs, in every sweep and for every model, the diagonal of
(Λ + diag t)⁻¹ and (Λ + diag t)⁻¹h. Exactly that is an inversion of n × n per model. In cohorts of
many hundreds random groups leave Λ no direction of its own, so that what the others say of a
client is nearly one number γ, which follows from Λ's eigenvalues λ alone (free probability;
adaptive TAP, Opper and Winther 2001; vector approximate message passing, Rangan et al. 2019):

    v_i = 1 / (t_i + γ),   mean of v_i = mean of 1 / (λ_k + τ) = v,   γ + τ = 1 / v
    log det ≈ Σ_k log(λ_k + τ) + Σ_i log(t_i + γ) + n log v

for Λ scaled to a unit diagonal, with the means by conjugate gradients, which is exact.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXACT_UP_TO = 120
"""Clients up to which every model is inverted."""
_STEPS = 40
_CLOSE = 1e-4
_FREE_STEPS, _FREE_CLOSE = 60, 1e-6
_LEAST_OWN = 1e-3  # of the largest: a client that is in no group has no diagonal of its own
_TINY = 1e-12


class Gaussians:
    """exp(−½ xᵀ(Λ + diag t)x + hᵀx) for B pairs of t and h at once; ``precision`` is Λ (n, n),
    positive semidefinite. Built once for all readings that share it."""

    def __init__(self, precision: Array) -> None:
        self.precision = precision
        self._own = np.diag(precision).copy()
        self._far = precision - np.diag(self._own)
        self._many = len(precision) > EXACT_UP_TO
        self._solve: Callable[[Array, Array, Array | None], tuple[Array, Array]] = (
            self._expanded if self._many else self._exact
        )
        if self._many:
            self._unit = np.maximum(self._own, _LEAST_OWN * float(self._own.max()))

    def __len__(self) -> int:
        """n."""
        return len(self.precision)

    @functools.cached_property
    def _eigenvalues(self) -> Array:
        """λ."""
        scaled = self.precision / np.sqrt(np.outer(self._unit, self._unit))
        return np.maximum(np.linalg.eigvalsh(scaled), 0.0)

    def moments(self, tight: Array, shift: Array, near: Array | None = None) -> tuple[Array, Array]:
        """Means and variances (B, n) each, for ``tight`` t and ``shift`` h (B, n); ``near`` (B, n):
        what the means are about."""
        return self._solve(tight, shift, near)

    def log_det(self, tight: Array) -> Array:
        """log det(Λ + diag t), (B,)."""
        if not self._many:
            log: Array = np.linalg.slogdet(self._full(tight))[1]
            return log
        scaled = tight / self._unit
        around, within = self._free(scaled)
        total: Array = np.log(self._eigenvalues[None, :] + within).sum(axis=1)
        total += np.log(scaled + around).sum(axis=1) + np.log(self._unit).sum()
        total -= len(self._own) * np.log(around + within)[:, 0]
        return total

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

    def _full(self, tight: Array) -> Array:
        full = np.repeat(self.precision[None], len(tight), axis=0)
        diagonal = np.arange(len(self._own))
        full[:, diagonal, diagonal] += tight
        return full

    def _exact(self, tight: Array, shift: Array, _near: Array | None) -> tuple[Array, Array]:
        covariance = np.linalg.inv(self._full(tight))
        diagonal = np.arange(len(self._own))
        mean: Array = np.einsum("bij,bj->bi", covariance, shift)
        return mean, np.ascontiguousarray(covariance[:, diagonal, diagonal])

    def _expanded(self, tight: Array, shift: Array, near: Array | None) -> tuple[Array, Array]:
        scaled = tight / self._unit
        variance = 1.0 / (scaled + self._free(scaled)[0]) / self._unit
        return self._conjugate_gradients(self._own + tight, shift, near), variance

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
