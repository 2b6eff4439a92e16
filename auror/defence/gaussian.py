"""Means and variances of many Gaussians that share a precision matrix but for its diagonal.

Expectation propagation needs, in every sweep and for every model, the diagonal of
(Λ + diag t)⁻¹ and (Λ + diag t)⁻¹h. Exactly that is an inversion of n × n per model. In cohorts of
many hundreds two clients share few groups, Λ's entries off the diagonal are small, and the
second-order expansion of the free energy (Plefka 1982; Thouless, Anderson, Palmer 1977) does:

    v_i = 1 / (Λ_ii + t_i − Σ_j Λ_ij² v_j)
    log det ≈ −Σ_i log v_i + ½ Σ_{i≠j} Λ_ij² v_i v_j

with the means by conjugate gradients, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXACT_UP_TO = 120
"""Clients up to which every model is inverted."""
_STEPS = 40
_CLOSE = 1e-4
_VARIANCE_SWEEPS = 6


class Gaussians:
    """exp(−½ xᵀ(Λ + diag t)x + hᵀx) for B pairs of t and h at once."""

    def __init__(self, precision: Array) -> None:
        """``precision``: Λ (n, n), positive semidefinite."""
        self._precision = precision
        self._own = np.diag(precision).copy()
        self._far = precision - np.diag(self._own)
        self._squared = self._far**2
        many = len(precision) > EXACT_UP_TO
        self._solve: Callable[[Array, Array], tuple[Array, Array]] = (
            self._expanded if many else self._exact
        )
        self._many = many

    def moments(self, tight: Array, shift: Array) -> tuple[Array, Array]:
        """Means and variances (B, n) each, for ``tight`` t and ``shift`` h (B, n)."""
        return self._solve(tight, shift)

    def log_det(self, tight: Array, variance: Array) -> Array:
        """log det(Λ + diag t), (B,); ``variance``: as :meth:`moments` gave it."""
        if not self._many:
            log: Array = np.linalg.slogdet(self._full(tight))[1]
            return log
        pairs = np.sum((variance @ self._squared) * variance, axis=1)
        expanded: Array = -np.log(variance).sum(axis=1) + 0.5 * pairs
        return expanded

    def _full(self, tight: Array) -> Array:
        full = np.repeat(self._precision[None], len(tight), axis=0)
        diagonal = np.arange(len(self._own))
        full[:, diagonal, diagonal] += tight
        return full

    def _exact(self, tight: Array, shift: Array) -> tuple[Array, Array]:
        covariance = np.linalg.inv(self._full(tight))
        diagonal = np.arange(len(self._own))
        mean: Array = np.einsum("bij,bj->bi", covariance, shift)
        return mean, np.ascontiguousarray(covariance[:, diagonal, diagonal])

    def _expanded(self, tight: Array, shift: Array) -> tuple[Array, Array]:
        own = self._own + tight
        variance = 1.0 / own
        for _ in range(_VARIANCE_SWEEPS):
            variance = 1.0 / np.maximum(own - variance @ self._squared, 0.1 * own)
        return self._conjugate_gradients(own, shift), variance

    def _conjugate_gradients(self, own: Array, shift: Array) -> Array:
        """(Λ + diag t)⁻¹h, preconditioned with the diagonal."""
        x = shift / own
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
