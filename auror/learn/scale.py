"""From raw samples to a model's inputs: what a task states, and which scale a site's file is in.

Pixels are written as 0 … 255 by some sites and as 0 … 1 by others. A task states the range of its
raw samples; a file in the other of these two scales is converted, and one in any other scale is
refused with the numbers compared, unless its site states the range (``--data-range``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError
from auror.learn.standardisation import Standardisation

Real = NDArray[np.floating]
Range = tuple[float, float]

PIXELS: Range = (0.0, 255.0)
UNIT: Range = (0.0, 1.0)

_BEYOND = 0.01
"""Of the range's width: how far a value may lie outside, as resampled images do."""
_LEAST_USED = 0.1
"""Of the range's width: a file that uses less is in another scale."""
_QUANTILE = 0.9
_REFUSED, _WARNED = 32.0, 6.4
"""Deviations at which 90 % of a feature's values may lie from the task's mean. In the samples that
mean and deviation are of it cannot be more than 3.2, whatever their distribution (Chebyshev), so
these are twice and ten times the most."""


def standardisation_of(raw: Real, whole: bool) -> Standardisation:
    """What the operator's own samples (N, ...) state for everybody: mean and deviation per channel
    or feature, to four digits; images in 0 … 255 or 0 … 1 have that range, everything else none."""
    found = _conventional(raw, whole) if raw.ndim == 4 else None
    scale = 255.0 if found == PIXELS else 1.0
    axes = tuple(i for i in range(raw.ndim) if i != 1)
    mean = raw.mean(axis=axes, dtype=np.float64) / scale
    deviation = raw.std(axis=axes, dtype=np.float64) / scale
    deviation[deviation <= 1e-9 * np.abs(mean)] = 1.0  # a constant column
    low, high = found if found == UNIT else (None, None)
    return Standardisation(scale, _rounded(mean), _rounded(deviation), low, high)


def parse_range(setting: str, text: str) -> Range | None:
    """``"0:255"`` → (0, 255); ``""`` → None.

    Raises:
        ConfigError: naming ``setting``.
    """
    if not text:
        return None
    low, colon, high = text.partition(":")
    try:
        found = (float(low), float(high))
    except ValueError:
        found = (math.nan, math.nan)
    if not colon or not all(map(math.isfinite, found)) or not found[0] < found[1]:
        raise ConfigError(f'{setting} = "{text}": write it as LOW:HIGH, for example 0:1')
    return found


@dataclass(frozen=True, slots=True)
class Converted:
    """Samples in the task's raw units, and what the site should know about how they came there."""

    x: Real
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def to_raw_units(
    where: str, x: Real, whole: bool, task: Standardisation, stated: Range | None
) -> Converted:
    """``x`` (N, ...) of a site's file in the task's raw units.

    Args:
        where: the setting and the file, for messages.
        whole: whether the file holds integers.
        stated: the range that the site says its file is in; None: the task's, or the other of
            0 … 255 and 0 … 1 where the numbers say so.

    Raises:
        DataError: the numbers are in another scale; they are compared in the message.
        ConfigError: a range is stated, and the task has none.
    """
    if task.range is None:
        if stated is not None:
            raise ConfigError(
                f"{where}: data_range has no effect: the task states no range for its samples;"
                " leave it out"
            )
        return Converted(x, warnings=_far_off(where, x, task))
    own = stated if stated is not None else _guessed(x, whole, task.range)
    _check_range(where, x, own, task.range, stated is not None)
    if own == task.range:
        return Converted(x)
    (low, high), (to_low, to_high) = own, task.range
    converted = (x - low) * ((to_high - to_low) / (high - low)) + to_low
    note = f"{where}: read as {_shown(own)} and converted to the task's {_shown(task.range)}"
    return Converted(converted, notes=(note,))


def _guessed(x: Real, whole: bool, task: Range) -> Range:
    """The task's own range, or the other of the two in which pixels are written."""
    if task not in (PIXELS, UNIT) or x.ndim != 4:
        return task
    return _conventional(x, whole) or task


def _conventional(x: Real, whole: bool) -> Range | None:
    """In which of the two ways ``x`` is written: integers, or anything above 1, as 0 … 255."""
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 255:
        return None
    return PIXELS if whole or high > 1 else UNIT


def _check_range(where: str, x: Real, own: Range, task: Range, stated: bool) -> None:
    low, high = own
    width = high - low
    least, most = float(x.min()) + 0.0, float(x.max()) + 0.0  # never -0
    fix = "write them in the task's units, or say in which range they are with --data-range"
    if least < low - _BEYOND * width or most > high + _BEYOND * width:
        beyond = int(np.count_nonzero((x < low) | (x > high)))
        said = "--data-range says" if stated else "the task's samples are in"
        raise DataError(
            f"{where}: its values lie in {least:.4g} … {most:.4g} (median {np.median(x):.4g}),"
            f" {said} {_shown(own)}: {beyond} of {x.size} are outside; {fix}"
        )
    if not stated and most - least < _LEAST_USED * width:
        raise DataError(
            f"{where}: its values lie in {least:.4g} … {most:.4g} (median {np.median(x):.4g}),"
            f" which is little of the task's {_shown(task)}; {fix}"
        )


def _far_off(where: str, x: Real, task: Standardisation) -> tuple[str, ...]:
    """Warns of features in another unit.

    Raises:
        DataError: they are too far off to train on.
    """
    axes = tuple(i for i in range(x.ndim) if i != 1)
    inputs = task.apply(x)
    far = np.atleast_1d(np.quantile(np.abs(inputs), _QUANTILE, axis=axes))
    worst = int(np.argmax(far))
    if far[worst] <= _WARNED:
        return ()
    column = np.take(x, worst, axis=1)
    scale, mean, deviation = (
        float(np.broadcast_to(part, far.shape)[worst])
        for part in (task.scale, task.mean, task.deviation)
    )
    kind = "feature" if x.ndim == 2 else "channel"
    said = (
        f"{where}: {kind} {worst + 1} has median {np.median(column):.4g} and reaches from"
        f" {column.min():.4g} to {column.max():.4g}; the task's mean is"
        f" {mean * scale:.4g} and its deviation {deviation * scale:.4g};"
        f" {np.count_nonzero(far > _WARNED)} of {len(far)} are as far off; write them in the"
        " task's units"
    )
    if far[worst] > _REFUSED:
        raise DataError(said)
    return (said,)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)


def _shown(found: Range) -> str:
    return f"{found[0]:g} … {found[1]:g}"
