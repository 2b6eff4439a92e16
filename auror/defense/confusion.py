"""The label-confusion statistic as a matched filter (docs/defence.md, section 3).

Q (C, C) reads "how much looks like b (column) and was labelled a (row)". A client that labels
its s as t adds (e_t − e_s)e_sᵀ to Q: more at (t, s), and as its consequence less at (s, s).
Honest clients differ too, and unevenly: some classes are confused more than others, and the
dual basis D makes neighbouring columns move together. Both are learnt from the opened sums as
a matrix-normal covariance (U over rows, V over columns), and each pair (t, s) is read with the
filter that has the best signal to noise under it:

    w_ts(Q) = (e_t − e_s)ᵀ U⁻¹ Q V⁻¹ e_s / √((e_t − e_s)ᵀU⁻¹(e_t − e_s) · e_sᵀV⁻¹e_s)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ITERATIONS = 4
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class LabelPair:
    """``target``: the label given; ``source``: what the samples look like."""

    target: int
    source: int


def label_pairs(classes: int) -> tuple[LabelPair, ...]:
    """All C(C−1) off-diagonal entries, in the column order of ``read_pairs``."""
    return tuple(LabelPair(t, s) for t in range(classes) for s in range(classes) if t != s)


def whiten(stack: Array, shrinkage: float) -> tuple[Array, Array]:
    """Row and column covariance (U, V), each (C, C), of deviations ``stack`` (m, C, C).

    Flip-flop maximum likelihood of the matrix normal; ``shrinkage`` in [0, 1] pulls both
    towards a multiple of the identity (Q's columns sum to zero, so U is singular without).
    """
    count, classes = stack.shape[0], stack.shape[1]
    eye = np.eye(classes)
    rows, columns = eye, eye

    def shrink(matrix: Array) -> Array:
        level = np.trace(matrix) / classes + _TINY
        shrunk: Array = (1.0 - shrinkage) * matrix + shrinkage * level * eye
        return shrunk

    for _ in range(_ITERATIONS):
        half = stack @ np.linalg.inv(columns)
        rows = shrink(np.tensordot(half, stack, axes=([0, 2], [0, 2])) / (count * classes))
        half = np.linalg.inv(rows) @ stack
        columns = shrink(np.tensordot(stack, half, axes=([0, 1], [0, 1])) / (count * classes))
        columns /= np.trace(columns) / classes
    return rows, columns


def read_pairs(
    means: Sequence[Array], sizes: Sequence[Sequence[int]], shrinkage: float
) -> list[Array]:
    """Each round's groups through the matched filters.

    ``means[r]``: (groups, C, C) group means; ``sizes[r]``: members per group. Returns per round
    (groups, C(C−1)) deviations from the round's level times √|G|, in units of the round's
    typical group (median absolute deviation over all groups and pairs): a few attacked pairs
    hardly move that unit, and it follows the statistics as they shrink while training converges.
    """
    stacks: list[Array] = []
    for mean, size in zip(means, sizes, strict=True):
        weight = np.asarray(size, dtype=np.float64)
        level = np.tensordot(weight, mean, axes=(0, 0)) / weight.sum()
        deviation = (mean - level) * np.sqrt(weight)[:, None, None]
        stacks.append(deviation / (np.sqrt(np.mean(deviation**2)) + _TINY))
    classes = stacks[0].shape[1]
    rows, columns = whiten(np.concatenate(stacks), shrinkage)
    row_filter, column_filter = np.linalg.inv(rows), np.linalg.inv(columns)
    diagonal = np.diag(row_filter)
    contrast = diagonal[:, None] + diagonal[None, :] - 2.0 * row_filter
    norm = np.sqrt(np.maximum(contrast, _TINY) * np.diag(column_filter)[None, :])
    off = ~np.eye(classes, dtype=bool)
    read: list[Array] = []
    for stack in stacks:
        whitened = row_filter @ stack @ column_filter
        own = np.einsum("gbb->gb", whitened)
        value = ((whitened - own[:, None, :]) / norm)[:, off]
        unit = 1.4826 * float(np.median(np.abs(value)))
        read.append(value / unit if unit > 0.0 else np.zeros_like(value))
    return read
