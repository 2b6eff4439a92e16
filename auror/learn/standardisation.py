"""How raw samples become a model's inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError

Floats = NDArray[np.float32]
Constant = float | tuple[float, ...]
"""One number, or one per channel of images (C, H, W), per column of rows (F,)."""


@dataclass(frozen=True, slots=True)
class Standardisation:
    """(raw / scale − mean) / deviation, with published constants of the data.

    Never statistics of the samples at hand: a client could not know everybody's, and they would
    leak.
    """

    scale: Constant = 1.0
    mean: Constant = 0.0
    deviation: Constant = 1.0

    def __post_init__(self) -> None:
        for name in ("scale", "mean", "deviation"):
            given = getattr(self, name)
            value = tuple(map(float, given)) if isinstance(given, list | tuple) else given
            object.__setattr__(self, name, value)
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or not all(map(math.isfinite, numbers)):
                raise ConfigError(f"standardisation: {name} = {given} must be finite")
            if name != "mean" and min(numbers) <= 0:
                raise ConfigError(f"standardisation: {name} = {given} must be above 0")

    def apply(self, raw: NDArray[np.generic]) -> Floats:
        """``raw`` (N, …) as float32 of the same shape.

        Raises:
            DataError: another number of channels or columns than the constants are given for.
        """
        scale, mean, deviation = (
            _along(value, raw.shape) for value in (self.scale, self.mean, self.deviation)
        )
        wide = raw.astype(np.float64)
        return ((wide / scale - mean) / deviation).astype(np.float32)

    def undo(self, standardised: NDArray[np.generic]) -> NDArray[np.float64]:
        """The raw values of ``standardised`` (N, …), up to rounding."""
        scale, mean, deviation = (
            _along(value, standardised.shape) for value in (self.scale, self.mean, self.deviation)
        )
        found: NDArray[np.float64] = (standardised.astype(np.float64) * deviation + mean) * scale
        return found


RAW = Standardisation()
"""Samples are inputs as they are."""


def _along(value: Constant, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Broadcastable along axis 1, whatever follows it."""
    if not isinstance(value, tuple):
        return np.float64(value)  # type: ignore[return-value]
    if len(shape) < 2 or shape[1] != len(value):
        raise DataError(f"standardisation: {len(value)} constants, samples of shape {shape[1:]}")
    return np.array(value).reshape(-1, *(1 for _ in shape[2:]))
