"""Whose a sample is: a linear test of who of the clients trained on a sample that is at hand.

A client's mean statistic is, nearly, a constant times the mean over its samples of what one sample
adds to it. So given an estimate x̂_i of client i's own part and the addition s_n of sample n, the
log-likelihood ratio of "n is among i's samples" against "it is not" is, for normal x with the
spread Σ that the additions have over any samples of the task, increasing in x̂_iᵀ Σ⁻¹ s_n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIDGE = 1e-3
"""Of the mean variance: entries that hardly move decide nothing."""


def attribution_auc(
    found: Floats, samples: Floats, owners: NDArray[np.int64], reference: Floats, telling: float
) -> float:
    """Mean over the most telling samples of the chance that the owner scores above another client.

    Args:
        found: x̂, (clients, k).
        samples: s, what every sample adds to its owner's statistic, (N, k).
        owners: row of ``found`` whose sample it is, (N,).
        reference: the same of samples that are nobody's, (N', k), for mean and spread.
        telling: part of the samples that is looked at, those with the largest s_nᵀ Σ⁻¹ s_n: a
            server sees it without knowing the owner.

    Returns:
        AUC in [0, 1]; .5 is guessing.
    """
    centre = reference.mean(axis=0)
    spread = np.cov(reference, rowvar=False)
    spread = spread + _RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    moved = samples - centre
    whitened = np.linalg.solve(spread, moved.T).T
    size = np.einsum("ij,ij->i", moved, whitened)
    chosen = np.argsort(-size, kind="stable")[: max(1, round(telling * len(samples)))]
    scores = whitened[chosen] @ found.T
    own = scores[np.arange(len(chosen)), owners[chosen]][:, None]
    below = (scores < own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
    return float((below / (len(found) - 1)).mean())
