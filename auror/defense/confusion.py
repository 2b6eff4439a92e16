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
# Deviations have unit root mean square: a variance below this is a class nobody moves.
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class LabelPair:
    """``target``: the label given; ``source``: what the samples look like."""

    target: int
    source: int


def label_pairs(classes: int) -> tuple[LabelPair, ...]:
    """All C(C−1) off-diagonal entries, in the column order of ``read_pairs``."""
    return tuple(LabelPair(t, s) for t in range(classes) for s in range(classes) if t != s)


def _shrink(matrix: Array, shrinkage: float) -> Array:
    """Pull towards a multiple of the identity: Q's columns sum to zero, so U is singular."""
    level = np.trace(matrix) / len(matrix) + _FLOOR
    shrunk: Array = (1.0 - shrinkage) * matrix + shrinkage * level * np.eye(len(matrix))
    return shrunk


def whiten(moment: Array, shrinkage: float) -> tuple[Array, Array]:
    """Row and column covariance (U, V), each (C, C), of the matrix normal.

    ``moment`` (C, C, C, C): mean of Q[a,b]·Q[c,d]; flip-flop maximum likelihood (Dutilleul
    1999), each side shrunk by ``shrinkage`` in [0, 1].
    """
    classes = len(moment)
    columns = np.eye(classes)
    for _ in range(_ITERATIONS):
        rows = _row_covariance(moment, columns, shrinkage)
        columns = _column_covariance(moment, rows, shrinkage)
        columns /= np.trace(columns) / classes
    return _row_covariance(moment, columns, shrinkage), columns


def _row_covariance(moment: Array, columns: Array, shrinkage: float) -> Array:
    rows = np.einsum("abcd,bd->ac", moment, np.linalg.inv(columns)) / len(columns)
    return _shrink(rows, shrinkage)


def _column_covariance(moment: Array, rows: Array, shrinkage: float) -> Array:
    columns = np.einsum("abcd,ac->bd", moment, np.linalg.inv(rows)) / len(rows)
    return _shrink(columns, shrinkage)


def pair_filters(moment: Array, shrinkage: float) -> Array:
    """The matched filters w_ts as columns, shape (C·C, C(C−1)), order of ``label_pairs``.

    What a pair is compared with must not hold the attack itself, or strong attacks would hide
    behind the spread they cause: for the pair (t, s), U is learnt without column s and V
    without rows t and s, which is where that attack lives.
    """
    classes = len(moment)
    rows, columns = whiten(moment, shrinkage)
    every = np.arange(classes)
    row_filters = np.empty((classes, classes, classes))
    for source in range(classes):
        rest = np.delete(every, source)
        part = moment[np.ix_(every, rest, every, rest)]
        covariance = _row_covariance(part, columns[np.ix_(rest, rest)], shrinkage)
        row_filters[source] = np.linalg.inv(covariance)
    filters = []
    for pair in label_pairs(classes):
        rest = np.delete(every, [pair.target, pair.source])
        part = moment[np.ix_(rest, every, rest, every)]
        covariance = _column_covariance(part, rows[np.ix_(rest, rest)], shrinkage)
        contrast = np.zeros(classes)
        contrast[pair.target], contrast[pair.source] = 1.0, -1.0
        left = row_filters[pair.source] @ contrast
        right = np.linalg.inv(covariance)[:, pair.source]
        norm = np.sqrt(max(float(contrast @ left * right[pair.source]), _FLOOR))
        filters.append(np.outer(left, right).ravel() / norm)
    return np.stack(filters, axis=1)


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
    flat = np.concatenate(stacks).reshape(-1, classes * classes)
    moment = (flat.T @ flat / len(flat)).reshape((classes,) * 4)
    filters = pair_filters(moment, shrinkage)
    read: list[Array] = []
    for stack in stacks:
        value = stack.reshape(-1, classes * classes) @ filters
        unit = 1.4826 * float(np.median(np.abs(value)))
        read.append(value / unit if unit > 0.0 else np.zeros_like(value))
    return read
