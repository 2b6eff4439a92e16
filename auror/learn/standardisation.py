"""How raw samples become a model's inputs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError

Floats = NDArray[np.float32]
Constant = float | tuple[float, ...]
"""One number, or one per channel of images (C, H, W), per column of rows (F,)."""
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Standardisation:
    """(raw / scale − mean) / deviation, with published constants of the data.

    Never statistics of the samples at hand: a client could not know everybody's, and they would
    leak.

    ``low``, ``high``: the range of raw samples. Where they are not given and ``scale`` is one
    number other than 1, it is 0 … ``scale``; else there is none. A site's file in another scale
    is converted or refused (``auror.learn.scale``).
    """

    scale: Constant = 1.0
    mean: Constant = 0.0
    deviation: Constant = 1.0
    low: float | None = None
    high: float | None = None

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
        if (self.low is None) != (self.high is None):
            raise ConfigError("standardisation: give low and high, or neither")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ConfigError(f"standardisation: low = {self.low} must be below high = {self.high}")

    @property
    def range(self) -> tuple[float, float] | None:
        """Of raw samples; None where there is none."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        if isinstance(self.scale, tuple) or self.scale == 1:
            return None
        return 0.0, float(self.scale)

    def stated(self) -> dict[str, Any]:
        """As the signed text holds it: what is not given is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def apply(self, raw: NDArray[np.generic]) -> Floats:
        """``raw`` (N, …) as float32 of the same shape.

        Raises:
            DataError: another number of channels or columns than the constants are given for.
        """
        scale, mean, deviation = (
            _along(value, raw.shape) for value in (self.scale, self.mean, self.deviation)
        )
        out = np.empty(raw.shape, dtype=np.float32)
        for start in range(0, len(raw), _ROWS):  # in pieces: float64 takes eight times of uint8
            wide = raw[start : start + _ROWS].astype(np.float64)
            out[start : start + _ROWS] = (wide / scale - mean) / deviation
        return out

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
