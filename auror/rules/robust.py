"""Robust aggregation as others publish it. Every rule here needs plaintext updates.

They see each client's whole update, which secure aggregation exists to prevent; they are here
to compare with. Where libraries disagree the variant is stated. All take updates (n, d) float32
and return the model's change with each client's part in it; none knows who is malicious, but
Krum, Multi-Krum and the trimmed mean are told how many (f).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """``change`` (d,): what the model moves by. ``weights`` (n,): each client's part, in [0, 1],
    1 the largest; None for rules that choose coordinate by coordinate."""

    change: Array
    weights: Array | None = None

    @property
    def rejected(self) -> NDArray[np.bool_] | None:
        """Clients (n,) whose part is below a tenth of the largest; None without weights."""
        return None if self.weights is None else self.weights < 0.1


class AggregationRule(Protocol):
    """From all updates of a round to the change of the model."""

    def __call__(self, updates: Floats, root: Floats | None, /) -> Aggregate:
        """
        Args:
            updates: of all clients, new minus old, (n, d).
            root: the server's own update, trained on its clean samples, (d,); None without any.
        """


def mean(updates: Floats, _root: Floats | None = None) -> Aggregate:
    """Plain averaging: no defence."""
    return Aggregate(updates.mean(axis=0, dtype=np.float64))


def median(updates: Floats, _root: Floats | None = None) -> Aggregate:
    """Coordinate-wise median (Yin et al. 2018)."""
    return Aggregate(np.median(updates, axis=0).astype(np.float64))


def trimmed_mean(malicious: int) -> AggregationRule:
    """Coordinate-wise mean without the f largest and f smallest values (Yin et al. 2018)."""

    def rule(updates: Floats, _root: Floats | None = None) -> Aggregate:
        _check(updates, malicious)
        ordered = np.sort(updates, axis=0)[malicious : len(updates) - malicious]
        return Aggregate(ordered.mean(axis=0, dtype=np.float64))

    return rule


def krum_scores(updates: Floats, neighbours: int) -> Array:
    """Sum of squared distances to the ``neighbours`` nearest other updates, (n,)."""
    wide = updates.astype(np.float64)
    norms = np.einsum("nd,nd->n", wide, wide)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2.0 * wide @ wide.T, 0.0)
    np.fill_diagonal(squared, np.inf)
    scores: Array = np.sort(squared, axis=1)[:, :neighbours].sum(axis=1)
    return scores


def multi_krum(
    malicious: int, chosen: int | None = None, neighbours: int | None = None
) -> AggregationRule:
    """Multi-Krum (Blanchard et al. 2017): the mean of the ``chosen`` updates of least score.

    ``neighbours``: n − f − 2 as in the paper (ByzFL takes n − f − 1). ``chosen``: n − f by
    default; 1 is Krum.
    """

    def rule(updates: Floats, _root: Floats | None = None) -> Aggregate:
        n = len(updates)
        _check(updates, malicious)
        near = max(n - malicious - 2, 1) if neighbours is None else neighbours
        keep = n - malicious if chosen is None else chosen
        best = np.argsort(krum_scores(updates, near), kind="stable")[:keep]
        weights = np.zeros(n)
        weights[best] = 1.0
        return Aggregate(updates[best].mean(axis=0, dtype=np.float64), weights)

    return rule


def geometric_median(iterations: int = 50, smoothing: float = 1e-6) -> AggregationRule:
    """RFA (Pillutla et al. 2022): smoothed Weiszfeld from the mean, equal client weights.

    Stops when a step is below 1e-7 of the update's norm. The paper takes 3 steps; the default
    goes on to the geometric median itself.
    """

    def rule(updates: Floats, _root: Floats | None = None) -> Aggregate:
        wide = updates.astype(np.float64)
        centre, weights = wide.mean(axis=0), np.ones(len(wide))
        for _ in range(iterations):
            distances = np.linalg.norm(wide - centre, axis=1)
            weights = 1.0 / np.maximum(distances, smoothing)
            moved = weights @ wide / weights.sum()
            step = float(np.linalg.norm(moved - centre))
            centre = moved
            if step <= 1e-7 * (float(np.linalg.norm(centre)) + _TINY):
                break
        return Aggregate(centre, weights / weights.max())

    return rule


def fltrust(updates: Floats, root: Floats | None) -> Aggregate:
    """FLTrust (Cao et al. 2021): trust = ReLU(cosine with the server's own update), every update
    rescaled to that one's norm.

    Raises ValueError without a root update.
    """
    if root is None:
        raise ValueError("FLTrust needs the server's own update on clean samples")
    wide, anchor = updates.astype(np.float64), root.astype(np.float64)
    norm = float(np.linalg.norm(anchor))
    norms = np.maximum(np.linalg.norm(wide, axis=1), _TINY)
    trust = np.maximum(wide @ anchor / (norms * max(norm, _TINY)), 0.0)
    change = (trust * norm / norms) @ wide / max(float(trust.sum()), _TINY)
    return Aggregate(change, trust / max(float(trust.max()), _TINY))


class FoolsGold:
    """FoolsGold (Fung et al. 2020): clients whose summed updates look alike share one vote.

    Variant: cosine over all entries of the whole update, κ = 1, weights normalised to sum 1.
    Keeps every client's sum over the rounds, so a new run needs a new object.
    """

    def __init__(self) -> None:
        self._history: Array | None = None

    def __call__(self, updates: Floats, _root: Floats | None = None) -> Aggregate:
        wide = updates.astype(np.float64)
        self._history = wide.copy() if self._history is None else self._history + wide
        weights = foolsgold_weights(self._history)
        total = float(weights.sum())
        if total <= 0.0:
            return Aggregate(np.zeros(wide.shape[1]), weights)
        return Aggregate(weights @ wide / total, weights / weights.max())


def foolsgold_weights(history: Array) -> Array:
    """The paper's Algorithm 1 on summed updates (n, d): weights (n,) in [0, 1]."""
    unit = history / np.maximum(np.linalg.norm(history, axis=1, keepdims=True), _TINY)
    similar = unit @ unit.T
    np.fill_diagonal(similar, 0.0)  # as in the authors' program: nobody is its own sybil
    closest = similar.max(axis=1)
    # Pardoning: an honest client that resembles a sybil is less like others than the sybil is.
    ratio = closest[:, None] / np.maximum(closest[None, :], _TINY)
    pardoned = np.where(closest[None, :] > closest[:, None], similar * ratio, similar)
    weights = np.clip(1.0 - pardoned.max(axis=1), 0.0, 1.0)
    weights /= max(float(weights.max()), _TINY)
    weights = np.clip(weights, _TINY, 0.99)
    logits: Array = np.clip(np.log(weights / (1.0 - weights)) + 0.5, 0.0, 1.0)
    return logits


def _check(updates: Floats, malicious: int) -> None:
    if 2 * malicious >= len(updates):
        raise ValueError(f"{malicious} malicious of {len(updates)} clients leave no majority")
