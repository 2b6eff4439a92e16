"""From float32 updates to integers and back: clip, offset code, stochastic rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.crypto.prg import words
from auror.errors import Refusal, Refused

CLIPPED_WARNING = 0.01
"""Share of clipped entries above which a client warns its user."""


@dataclass(frozen=True, slots=True)
class Quantiser:
    """Maps [−clip, clip] onto the integers 0 … 2^bits − 1.

    ``q = ⌊(clip(x) + clip)/step + U⌋`` with U uniform on [0, 1): unbiased inside the range.
    """

    bits: int
    clip: float
    """Quantisation range, in units of the update."""

    @property
    def levels(self) -> int:
        """The largest quantised value, 2^bits − 1."""
        return (1 << self.bits) - 1

    @property
    def step(self) -> float:
        return 2.0 * self.clip / self.levels

    def quantise(self, update: NDArray[np.float32], rounding: Secret) -> NDArray[np.uint32]:
        """Quantise ``update`` (float32, (d,)) to uint32 (d,), each entry ≤ 2^bits − 1.

        ``rounding`` seeds U: fresh for every attempt, never for the same update twice.

        Raises:
            Refused: an entry is NaN or infinite; such a value never leaves a client.
        """
        if not bool(np.isfinite(update).all()):
            count = int((~np.isfinite(update)).sum())
            raise Refused(Refusal.BAD_UPDATE, f"{count} of {update.size} entries")
        scaled = (np.clip(update.astype(np.float64), -self.clip, self.clip) + self.clip) / self.step
        for positions, block in words(rounding, update.size, np.uint32):
            scaled[positions] += block * 2.0**-32
        # U < 1, yet x = clip plus float rounding may reach levels + 1
        return np.minimum(scaled, self.levels).astype(np.uint32)

    def mean(self, total: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        """The mean update behind the integer sum of ``count`` quantised ones."""
        return total.astype(np.float64) * (self.step / count) - self.clip

    def clipped_share(self, update: NDArray[np.float32]) -> float:
        """Share of entries outside the range, for the log: a range too small biases the model."""
        return float((np.abs(update) > self.clip).mean())


def ring_bits(cohort: int, bits: int) -> int:
    """⌈log2(n(2^b − 1) + 1)⌉: the smallest ring in which honest sums do not wrap."""
    return (cohort * ((1 << bits) - 1)).bit_length()
