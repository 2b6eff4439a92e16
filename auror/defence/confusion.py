"""The label-confusion statistic, read for what an attack would leave in it (docs/defence.md §3).

Q (C, C) reads "how much looks like b (column) and was labelled a (row)"; ``dual_readout`` finds
it in what the groups opened. Three things a client may do have a pattern P in it:

    LabelPair    labels its s as t:           (e_t − e_s)e_sᵀ, more at (t, s) and so less at (s, s)
    Everything   labels all it can as t:      Σ_{s≠t} (e_t − e_s)e_sᵀ
    Against      steps against the cohort:    −Q̄, the round's mean over all clients

Honest clients differ too, and unevenly: some classes are confused more than others, the dual
basis makes neighbouring columns move together, and how many samples of a class a client has
moves the diagonal. All of that is learnt from the opened sums, as Σ = U ⊗ V (rows and columns) plus
a variance of its own for the diagonal, and a pattern is read with the filter that has the best
signal to noise under it:

    w(Q) = ⟨Σ⁻¹P, Q⟩ / √⟨Σ⁻¹P, P⟩

With equally dealt data the diagonal is evidence; under label skew its variance is large, and
the filter looks past it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defence.decode import mean_over_clients

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


def dual_readout(means: Array, ridge: float = 0.1) -> Array:
    """(MMᵀ + λI)⁻¹ of class means M (C, h): turns the opened ΔW·Mᵀ into Q, as (C, C).

    Q = ΔW·Mᵀ(MMᵀ + λI)⁻¹ reads "how much looks like b and was labelled a", for
    (MMᵀ + λI)⁻¹M is the ridge dual basis of M.

    Args:
        ridge: λ in units of the mean squared row norm of M, so that it does not depend on how
            large activations are.
    """
    gram = means @ means.T
    scale = float(np.trace(gram)) / len(gram)
    return _inverse(gram + ridge * scale * np.eye(len(gram)))


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
    ``skew``: how unevenly labels are dealt, the diagonal's own variance (median over classes) over
    the median variance off it; medians, for an attack sits in few entries.
    """

    pairs: list[Array]
    learning: list[Array]
    gains: Array
    skew: float


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
    pairs, everything, skew = _filters(np.concatenate(stacks), shrinkage, diagonal)
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
    return Readings(read_pairs, read_learning, gains, skew)


def whiten(moment: Array, shrinkage: float) -> tuple[Array, Array]:
    """Row and column covariance (U, V), each (C, C), of the matrix normal.

    ``moment`` (C, C, C, C): mean of Q[a,b]·Q[c,d]; flip-flop maximum likelihood (Dutilleul
    1999), each side shrunk by ``shrinkage`` in [0, 1].
    """
    classes = len(moment)
    columns = np.eye(classes)
    for _ in range(_ITERATIONS):
        rows = _row_covariance(moment, _inverse(columns), classes, shrinkage)
        columns = _column_covariance(moment, _inverse(rows), classes, shrinkage)
        columns /= np.trace(columns) / classes
    return _row_covariance(moment, _inverse(columns), classes, shrinkage), columns


def _row_covariance(moment: Array, inverse: Array, kept: int, shrinkage: float) -> Array:
    """U (…, C, C) given V⁻¹ (…, C, C) over ``kept`` columns, zero elsewhere."""
    return _shrink(np.einsum("abcd,...bd->...ac", moment, inverse) / kept, shrinkage)


def _column_covariance(moment: Array, inverse: Array, kept: int, shrinkage: float) -> Array:
    """V (…, C, C) given U⁻¹ (…, C, C) over ``kept`` rows, zero elsewhere."""
    return _shrink(np.einsum("abcd,...ac->...bd", moment, inverse) / kept, shrinkage)


def _shrink(matrix: Array, shrinkage: float) -> Array:
    """Pull (…, C, C) towards the identity's multiples: Q's columns sum to zero, U is singular."""
    classes = matrix.shape[-1]
    level = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None] / classes + _FLOOR
    shrunk: Array = (1.0 - shrinkage) * matrix + shrinkage * level * np.eye(classes)
    return shrunk


def _filters(deviations: Array, shrinkage: float, diagonal: float) -> tuple[Array, Array, float]:
    """Filters as columns: label pairs (C·C, C(C−1)) and everything-as-t (C·C, C); the skew.

    ``deviations`` (groups of all rounds, C, C). U and V are learnt off the diagonal. What a
    pattern is compared with must not hold the attack itself, or strong attacks would hide behind
    the spread they cause: for the pair (t, s), U is learnt without column s and V without rows t
    and s, which is where that attack lives; for everything as t, V without row t, and row t of U
    is capped at the median row.
    """
    classes = deviations.shape[1]
    every = np.arange(classes)
    off = ~np.eye(classes, dtype=bool)
    flat = (deviations * off).reshape(-1, classes * classes)
    moment = (flat.T @ flat / len(flat)).reshape((classes,) * 4)
    rows, columns = whiten(moment, shrinkage)
    own = np.mean(deviations[:, every, every] ** 2, axis=0) - np.diag(rows) * np.diag(columns)
    own_variance = max(float(np.median(own)), 0.0)
    typical = float(np.median(np.diag(moment.reshape(classes**2, -1))[off.ravel()]))
    skew = own_variance / max(typical, _FLOOR)
    variance = diagonal * own_variance

    def columns_without(left_out: Sequence[tuple[int, ...]]) -> Array:
        return _inverse(_column_covariance(moment, *_inverses_without(rows, left_out), shrinkage))

    def rows_without(left_out: Sequence[tuple[int, ...]]) -> Array:
        return _inverse(_row_covariance(moment, *_inverses_without(columns, left_out), shrinkage))

    alone = [(one,) for one in range(classes)]
    unordered = list(itertools.combinations(range(classes), 2))
    without_one = columns_without(alone)
    # of two classes a pair leaves no other row to learn from: V as it is then stands in
    without_two = columns_without(unordered) if classes > 2 else _inverse(columns)[None]
    without_source = rows_without(alone)

    labels = label_pairs(classes)
    target = np.array([pair.target for pair in labels])
    source = np.array([pair.source for pair in labels])
    both = [unordered.index((min(p.target, p.source), max(p.target, p.source))) for p in labels]
    patterns = np.zeros((len(labels), classes, classes))
    patterns[np.arange(len(labels)), target, source] = 1.0
    patterns[np.arange(len(labels)), source, source] = -1.0
    pairs = _matched(patterns, without_source[source], without_two[both], variance)

    patterns = np.repeat(-np.eye(classes)[None], classes, axis=0)
    patterns[every, every] = 1.0
    patterns[every, every, every] = 0.0
    own_row = np.diag(rows)
    caps = np.ones((classes, classes))
    caps[every, every] = np.minimum(1.0, np.sqrt(np.median(own_row) / own_row))
    capped = _inverse(rows * caps[:, :, None] * caps[:, None, :])
    return pairs, _matched(patterns, capped, without_one, variance), skew


def _inverses_without(covariance: Array, left_out: Sequence[tuple[int, ...]]) -> tuple[Array, int]:
    """Inverses of ``covariance`` without some rows and columns, zeros in their place, (K, C, C);
    and how many are kept in each."""
    classes = len(covariance)
    rest = np.stack([np.delete(np.arange(classes), list(out)) for out in left_out])
    at = (rest[:, :, None], rest[:, None, :])
    found = np.zeros((len(left_out), classes, classes))
    found[np.arange(len(left_out))[:, None, None], *at] = _inverse(covariance[at])
    return found, rest.shape[1]


def _inverse(covariance: Array) -> Array:
    inverse: Array = np.linalg.inv(covariance).astype(np.float64, copy=False)
    return inverse


def _matched(patterns: Array, left: Array, right: Array, variance: float) -> Array:
    """Σ⁻¹P/√⟨Σ⁻¹P, P⟩ as columns (C·C, K), for Σ = (``left`` ⊗ ``right``)⁻¹ with ``variance``
    added to each diagonal entry (Woodbury); ``patterns``, ``left``, ``right``: (K, C, C)."""
    matched = left @ patterns @ right
    if variance > 0.0:
        inner = left * right + np.eye(patterns.shape[-1]) / variance
        diagonals = np.diagonal(matched, axis1=-2, axis2=-1)
        weight = np.linalg.solve(inner, diagonals[..., None])[..., 0]
        matched = matched - (left * weight[:, None, :]) @ right.transpose(0, 2, 1)
    gain = np.maximum(np.sum(matched * patterns, axis=(1, 2)), _FLOOR)
    scaled: Array = matched / np.sqrt(gain)[:, None, None]
    return scaled.reshape(len(scaled), -1).T
