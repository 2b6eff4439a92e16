"""The label-confusion statistic, read for what an attack would leave in it (docs/defence.md §3).

Q (C, C) reads "how much looks like b (column) and was labelled a (row)". Three things a client
may do have a pattern P in it:

    LabelPair    labels its s as t:           (e_t − e_s)e_sᵀ, more at (t, s) and so less at (s, s)
    Everything   labels all it can as t:      Σ_{s≠t} (e_t − e_s)e_sᵀ
    Against      steps against the cohort:    −Q̄, the round's mean over all clients

Honest clients differ too, and unevenly: some classes are confused more than others, the dual
basis D makes neighbouring columns move together, and how many samples of a class a client has
moves the diagonal. All of that is learnt from the opened sums, as Σ = U ⊗ V (rows and columns) plus
a variance of its own for the diagonal, and a pattern is read with the filter that has the best
signal to noise under it:

    w(Q) = ⟨Σ⁻¹P, Q⟩ / √⟨Σ⁻¹P, P⟩

With equally dealt data the diagonal is evidence; under label skew its variance is large, and
the filter looks past it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defense.decode import mean_over_clients

Array = NDArray[np.float64]

_ITERATIONS = 4
_TINY = 1e-300
# Deviations have unit root mean square: a variance below this is a class nobody moves.
_FLOOR = 1e-9
_MEDIAN_TO_DEVIATION = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True)
class LabelPair:
    """``target``: the label given; ``source``: what the samples look like."""

    target: int
    source: int

    def __str__(self) -> str:
        return f"{self.source} labelled {self.target}"

    def mass(self, q: Array) -> Array:
        """How much is labelled so, in Q's units: (…, C, C) → (…,)."""
        mass: Array = q[..., self.target, self.source]
        return mass

    def whole(self, level: Array) -> float:
        """The most that could be labelled so: what the cohort's mean (C, C) learns of it."""
        return float(level[self.source, self.source])

    def parts(self, classes: int) -> tuple[LabelPair, ...]:
        """The label pairs that it consists of."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Everything:
    """Whatever the samples look like, they are labelled ``target``: a backdoor, before the model
    has learnt its trigger."""

    target: int

    def __str__(self) -> str:
        return f"everything labelled {self.target}"

    def parts(self, classes: int) -> tuple[LabelPair, ...]:
        """The label pairs that it consists of."""
        return tuple(LabelPair(self.target, s) for s in range(classes) if s != self.target)


@dataclass(frozen=True, slots=True)
class Against:
    """Steps against what the cohort learns: sign flips, inner-product manipulation."""

    def __str__(self) -> str:
        return "against the cohort's step"


Reading = LabelPair | Everything | Against


def label_pairs(classes: int) -> tuple[LabelPair, ...]:
    """All C(C−1) off-diagonal entries, in the column order of ``Readings.pairs``."""
    return tuple(LabelPair(t, s) for t in range(classes) for s in range(classes) if t != s)


def learning_readings(classes: int) -> tuple[Reading, ...]:
    """The C + 1 readings in the column order of ``Readings.learning``."""
    return (*(Everything(target) for target in range(classes)), Against())


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What every group of every round shows, as deviations from the round's level times √|G|, in
    units of the round's typical reading of a label pair.

    ``pairs[r]`` (groups, C(C−1)). ``learning[r]`` (groups, C+1): patterns that show while the model
    learns and fade as it converges. ``gains`` (rounds,): how loudly each round speaks of
    those, the length of the cohort's step over the spread of its clients, root mean square 1.
    """

    pairs: list[Array]
    learning: list[Array]
    gains: Array


def read(
    means: Sequence[Array], sizes: Sequence[Sequence[int]], shrinkage: float, diagonal: float
) -> Readings:
    """Each round's groups through the filters of the module docstring.

    Args:
        means: ``means[r]`` (groups, C, C), group means.
        sizes: ``sizes[r]``, members per group.
        shrinkage: of U and V towards multiples of the identity, in [0, 1].
        diagonal: the diagonal's own variance, in its learnt variances: the number of samples
            of a class has heavier tails than a normal distribution.

    The unit is a median over all groups and pairs, so that a few attacked pairs hardly move it,
    and it follows the statistics as they shrink while training converges.
    """
    classes = means[0].shape[1]
    off = ~np.eye(classes, dtype=bool)
    stacks: list[Array] = []
    levels: list[Array] = []
    for mean, size in zip(means, sizes, strict=True):
        level = mean_over_clients(size, mean)
        deviation = (mean - level) * np.sqrt(size)[:, None, None]
        unit = np.sqrt(np.mean((deviation * off) ** 2)) + _TINY
        stacks.append(deviation / unit)
        levels.append(level / unit)
    pairs, everything = _filters(np.concatenate(stacks), shrinkage, diagonal)
    lengths = np.array([float(np.linalg.norm(level)) for level in levels])
    read_pairs, read_learning = [], []
    for stack, level, length in zip(stacks, levels, lengths, strict=True):
        flat = stack.reshape(-1, classes * classes)
        value = flat @ pairs
        unit = _MEDIAN_TO_DEVIATION * float(np.median(np.abs(value))) or 1.0
        against = -flat @ level.ravel() / (length + _TINY)
        read_pairs.append(value / unit)
        read_learning.append(np.column_stack([flat @ everything, against]) / unit)
    typical = float(np.sqrt(np.mean(lengths**2)))
    gains = lengths / typical if typical > 0.0 else np.ones(len(lengths))
    return Readings(read_pairs, read_learning, gains)


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


def _shrink(matrix: Array, shrinkage: float) -> Array:
    """Pull towards a multiple of the identity: Q's columns sum to zero, so U is singular."""
    level = np.trace(matrix) / len(matrix) + _FLOOR
    shrunk: Array = (1.0 - shrinkage) * matrix + shrinkage * level * np.eye(len(matrix))
    return shrunk


def _filters(deviations: Array, shrinkage: float, diagonal: float) -> tuple[Array, Array]:
    """Filters as columns: label pairs (C·C, C(C−1)) and everything-as-t (C·C, C).

    ``deviations`` (groups of all rounds, C, C). U and V are learnt off the diagonal. What a
    pattern is compared with must not hold the attack itself, or strong attacks would hide behind
    the spread they cause: for the pair (t, s), U is learnt without column s and V without rows t
    and s, which is where that attack lives; for everything as t, V without row t, and row t of U
    is capped at the median row.
    """
    classes = deviations.shape[1]
    every = np.arange(classes)
    flat = (deviations * ~np.eye(classes, dtype=bool)).reshape(-1, classes * classes)
    moment = (flat.T @ flat / len(flat)).reshape((classes,) * 4)
    rows, columns = whiten(moment, shrinkage)
    own = np.mean(deviations[:, every, every] ** 2, axis=0) - np.diag(rows) * np.diag(columns)
    variance = diagonal * max(float(np.median(own)), 0.0)

    @functools.cache  # a pair and its mirror image leave out the same rows
    def columns_without(out: frozenset[int]) -> Array:
        rest = np.delete(every, sorted(out))
        part = moment[np.ix_(rest, every, rest, every)]
        return _inverse(_column_covariance(part, rows[np.ix_(rest, rest)], shrinkage))

    def rows_without(source: int) -> Array:
        rest = np.delete(every, source)
        part = moment[np.ix_(every, rest, every, rest)]
        return _inverse(_row_covariance(part, columns[np.ix_(rest, rest)], shrinkage))

    row_filters = [rows_without(source) for source in range(classes)]
    pairs = []
    for pair in label_pairs(classes):
        pattern = np.zeros((classes, classes))
        pattern[pair.target, pair.source], pattern[pair.source, pair.source] = 1.0, -1.0
        right = columns_without(frozenset({pair.target, pair.source}))
        pairs.append(_matched(pattern, row_filters[pair.source], right, variance))
    everything = []
    typical = float(np.median(np.diag(rows)))
    for target in every:
        pattern = -np.eye(classes)
        pattern[target], pattern[target, target] = 1.0, 0.0
        cap = np.ones(classes)
        cap[target] = min(1.0, float(np.sqrt(typical / rows[target, target])))
        left = _inverse(rows * np.outer(cap, cap))
        everything.append(
            _matched(pattern, left, columns_without(frozenset({int(target)})), variance)
        )
    return np.stack(pairs, axis=1), np.stack(everything, axis=1)


def _inverse(covariance: Array) -> Array:
    inverse: Array = np.linalg.inv(covariance).astype(np.float64, copy=False)
    return inverse


def _matched(pattern: Array, left: Array, right: Array, variance: float) -> Array:
    """Σ⁻¹P/√⟨Σ⁻¹P, P⟩, flat (C·C,), for Σ⁻¹ = (``left`` ⊗ ``right``)⁻¹ with ``variance`` added to
    each diagonal entry (Woodbury)."""
    matched = left @ pattern @ right
    if variance > 0.0:
        inner = left * right + np.eye(len(pattern)) / variance
        weight = np.linalg.solve(inner, np.diag(matched))
        matched = matched - (left * weight) @ right.T
    scaled: Array = matched / np.sqrt(max(float(np.sum(matched * pattern)), _FLOOR))
    return scaled.ravel()
