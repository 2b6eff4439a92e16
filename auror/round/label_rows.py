"""Part (d) of the statistics plan: label rows, the output layer's change read along class means.

They open Q′ = ΔW·Mᵀ, where ΔW (C × h) is the change of the output layer's weights and row c of M
says what class c looks like to the layer: the mean penultimate activation of the clean samples
that the policy signs or, where it signs none, the centred output weights. The verdict reads
Q = Q′(MMᵀ + λI)⁻¹ (``auror.defence.confusion.dual_readout``) from the opened sums.

M travels as whole numbers of few bits (``RoundParams.label_row_bits``), so that a row cannot
carry much more than the one number it is. What a row can tell, honestly:

A row opens one number R = Σ_j c_j·S_j, S_j the group's sum of entry j, 0 ≤ S_j ≤ D = g(2^b − 1).

- Coefficients 1 and D + 1 would give S_1 = R mod (D + 1) and S_2 exactly. With every |c| < D no
  row of integers tells all pairs apart: (S_1 + c_2, S_2) and (S_1, S_2 + c_1) look alike.
- That alone is weak, since real sums cover a small part of [0, D]: if the server knows each of
  two entries to be within w values, coefficients 1 and w tell it both. With L the largest
  |c|, about w/L pairs of values fit one R. Sums of five clients' output weights at b = 16 spread
  over w ≈ 1,500 values; L is 15 at the most.
- Put differently, where sums of one spread are near normal, R has at most log₂‖c‖₂ bits more
  than one entry: below 7 for 64 coefficients of 4 bits, 19 for 64 of 16 bits. An entry itself
  has about 12.
- What stays: a server may hide something in the low digits of rows that look right otherwise (M
  a multiple of K, plus one entry: R mod K tells S_1 mod K, K ≤ 8), and that is below the noise of
  stochastic rounding (√(g/6) values) and tells entries that do not move at all from others.
  When b is small, w is small too: at b = 8 an honest sum covers some 20 values, and a row
  of 4 bits can tell two of them apart.
- And C rows are C numbers for each output, of the *group's* sum, never of one client's. Which rows
  they are is not the server's to choose: everybody recomputes them (:meth:`LabelRows.reads`).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import number
from auror.errors import DataError
from auror.round.output import OutputShape

_DTYPE = np.dtype("<i4")
_EXPONENT_BYTES = 8
_WEIGHT_BITS = 40  # a weight as a whole number: float32's 24 bits and 16 for smaller weights
ROUNDING = 1 / 16
"""How far beyond half a step an entry of M may lie from where another machine finds it, in steps.
Two machines' float32 passes differ by 5e-6 steps (docs/adr/0035). A server that lies about
roundings moves one entry in eight by one step."""


class MeansSource(enum.Enum):
    """Where M comes from; it decides how a client checks it."""

    CLEAN_SAMPLES = "clean samples"
    """Those that the policy signs, under the round's model: recomputed, equal but for roundings."""
    OUTPUT_WEIGHTS = "output weights"
    """The round's model alone: recomputed, equal in every bit."""


@dataclass(frozen=True)
class LabelRows:
    """Q′ = ΔW·Mᵀ over the output layer's weights ΔW (C × h), which start at entry ``offset``.

    Row a·C + c reads "how far output a moved along what class c looks like".
    """

    offset: int
    means: bytes
    """M·2^exponent as int32 (classes, hidden), little-endian, row-major."""
    classes: int
    hidden: int
    exponent: int
    source: MeansSource

    @classmethod
    def from_matrix(
        cls,
        offset: int,
        matrix: NDArray[np.int64],
        exponent: int = 0,
        source: MeansSource = MeansSource.CLEAN_SAMPLES,
    ) -> LabelRows:
        """``matrix``: M·2^exponent, (classes, hidden)."""
        classes, hidden = matrix.shape
        means = matrix.astype(_DTYPE).tobytes()
        return cls(offset, means, classes, hidden, exponent, source)

    @property
    def matrix(self) -> NDArray[np.int64]:
        """M·2^exponent, (classes, hidden)."""
        flat = np.frombuffer(self.means, dtype=_DTYPE)
        return flat.reshape(self.classes, self.hidden).astype(np.int64)

    @property
    def output(self) -> OutputShape:
        """The output layer that these rows read."""
        return OutputShape(self.offset, self.classes, self.hidden)

    @property
    def rows(self) -> int:
        return self.classes * self.classes

    def apply(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self.output.weights(values) @ self.matrix.T).reshape(-1)

    def row_norms(self, dim: int) -> NDArray[np.int64]:
        return np.tile(np.abs(self.matrix).sum(axis=1), self.classes)

    def row_sums(self, dim: int) -> NDArray[np.int64]:
        return np.tile(self.matrix.sum(axis=1), self.classes)

    @property
    def largest_coefficient(self) -> int:
        return int(np.abs(self.matrix).max(initial=0))

    def reads(self, means: NDArray[np.float32], bits: int) -> bool:
        """Whether this is M of ``means`` (C, h) in ``bits`` bits, as another machine may have
        rounded it (``ROUNDING``)."""
        exact = means.astype(np.float64)
        largest = float(np.abs(exact).max(initial=0.0))
        if not (math.isfinite(largest) and largest > 0):
            return False
        near = {_exponent(largest * (1 + side * ROUNDING / (1 << bits)), bits) for side in (-1, 1)}
        if exact.shape != (self.classes, self.hidden) or self.exponent not in near:
            return False
        away = np.abs(self.matrix - np.ldexp(exact, self.exponent))
        return bool(away.max() <= 0.5 + ROUNDING)

    def encoded(self) -> tuple[bytes, ...]:
        shape = (number(self.offset), number(self.classes), number(self.hidden))
        exponent = self.exponent.to_bytes(_EXPONENT_BYTES, "little", signed=True)
        return b"label-rows", self.means, *shape, exponent, self.source.value.encode()

    def fits(self, dim: int) -> bool:
        size = self.classes * self.hidden
        return (
            size > 0
            and self.offset >= 0
            and self.offset + size <= dim
            and len(self.means) == size * _DTYPE.itemsize
        )


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """What the signed clean samples look like under the round's model, as a client finds it, and
    where its output layer is."""

    output: OutputShape
    means: NDArray[np.float32] | None
    """Mean penultimate activation of each class, (C, h); None where the policy signs no samples."""


def rows_of_means(output: OutputShape, means: NDArray[np.float32], bits: int) -> LabelRows:
    """M from clean samples: ``means`` (C, h), the largest |entry| in ``bits`` bits.

    Raises:
        DataError: the means are all zero or not finite.
    """
    matrix, exponent = _quantised(means.astype(np.float64), bits)
    return LabelRows.from_matrix(output.offset, matrix, exponent, MeansSource.CLEAN_SAMPLES)


def rows_of_weights(output: OutputShape, model: NDArray[np.float32], bits: int) -> LabelRows:
    """M from the output layer of ``model`` (d,): C times its weights less their mean over classes.

    In whole numbers throughout, so that every machine finds the same bits.

    Raises:
        DataError: the weights are all alike or not finite.
    """
    weights = output.weights(model).astype(np.float64)
    largest = float(np.abs(weights).max(initial=0.0))
    if not math.isfinite(largest):
        raise DataError("the output layer's weights are not finite")
    shift = _WEIGHT_BITS - math.frexp(largest)[1]
    whole = np.rint(np.ldexp(weights, shift)).astype(np.int64)
    centred = output.classes * whole - whole.sum(axis=0)
    matrix, exponent = _quantised(centred.astype(np.float64), bits)
    return LabelRows.from_matrix(
        output.offset, matrix, exponent + shift, MeansSource.OUTPUT_WEIGHTS
    )


def _quantised(means: NDArray[np.float64], bits: int) -> tuple[NDArray[np.int64], int]:
    """``means``·2^e in whole numbers, and e: the largest for which they stay below 2^bits."""
    largest = float(np.abs(means).max(initial=0.0))
    if not (math.isfinite(largest) and largest > 0):
        raise DataError(
            "class means are all zero or not finite: the model has collapsed; begin a training"
            " anew, with a lower learning rate"
        )
    exponent = _exponent(largest, bits)
    return np.rint(np.ldexp(means, exponent)).astype(np.int64), exponent


def _exponent(largest: float, bits: int) -> int:
    """The largest e for which ``largest``·2^e stays below 2^``bits``."""
    return math.frexp(((1 << bits) - 1) / largest)[1] - 1
