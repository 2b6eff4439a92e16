"""The strongest updates that stay among the honest ones: Min-Max and Min-Sum (Shejwalkar and
Houmansadr 2021, "Manipulating the Byzantine", section V).

All forgers send μ + γp: the honest mean, moved against the honest standard deviation, p = −σ (the
paper's inverse standard deviation). γ is as large as a bound on distances allows. The paper halves
its way to γ; both bounds are quadratic in it, so it is solved here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.learn.attack import Floats, Knowledge, Updates

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MinMax:
    """No honest update is farther from what is sent than two honest ones are from each other."""

    needs_payload = False

    def __str__(self) -> str:
        return "min-max"

    def forge(self, known: Knowledge) -> Updates:
        mean, away, offsets = _geometry(known.honest)
        square, bound = float(away @ away), float(_squared_distances(offsets).max())
        if square == 0:
            return _all_send(known, mean)
        half = offsets @ away
        slack = bound - np.einsum("ij,ij->i", offsets, offsets)
        gamma = float(((np.sqrt(half**2 + square * slack) - half) / square).min())
        return _all_send(known, mean + gamma * away)


@dataclass(frozen=True, slots=True)
class MinSum:
    """The squared distances from what is sent to all honest updates sum to no more than those from
    the most distant honest one (the paper's upper bound)."""

    needs_payload = False

    def __str__(self) -> str:
        return "min-sum"

    def forge(self, known: Knowledge) -> Updates:
        mean, away, offsets = _geometry(known.honest)
        square, bound = float(away @ away), float(_squared_distances(offsets).sum(axis=1).max())
        if square == 0:
            return _all_send(known, mean)
        # The offsets sum to 0, so γ stands in Σ‖μ + γp − v_i‖² = Σ‖μ − v_i‖² + nγ²‖p‖² only.
        slack = bound - float((offsets**2).sum())
        gamma = np.sqrt(slack / (len(offsets) * square))
        return _all_send(known, mean + gamma * away)


def _geometry(honest: Floats) -> tuple[Array, Array, Array]:
    """μ (d,), p = −σ (d,) and μ − v_i (honest, d) of the ``honest`` updates."""
    mean = honest.mean(axis=0, dtype=np.float64)
    offsets: Array = mean - honest
    return mean, -offsets.std(axis=0), offsets


def _squared_distances(points: Array) -> Array:
    """Of every two of ``points`` (n, d), (n, n)."""
    products = points @ points.T
    squares = np.diag(products)
    found: Array = np.maximum(squares[:, None] + squares - 2.0 * products, 0.0)
    return found


def _all_send(known: Knowledge, update: Array) -> Updates:
    sent = update.astype(np.float32)
    return {client: sent.copy() for client in known.own}
