"""The task of a load test: numbers that nobody trains and, where it has classes, a small softmax
layer in front of them that is really trained, so that label rows and verdict have something to see.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from auror.round.output import OutputShape

Floats = NDArray[np.float32]
HIDDEN = 16
"""Inputs of the softmax layer, fewer where the model is small."""
_NOISE = 0.6
_SEED = 20_16
_CLEAN, _CLEAN_SAMPLES = 1_000_000, 500
"""A seed that no client has."""


@dataclass(frozen=True)
class SyntheticTask:
    """What stands in the policy, as canonical JSON."""

    synthetic: int
    """d, entries of the model."""
    classes: int = 0
    """C; 0 = numbers only."""
    hidden: int = 0

    @classmethod
    def sized(cls, dim: int, classes: int) -> SyntheticTask:
        """Raises ValueError: ``dim`` entries hold no softmax layer of so many classes."""
        if not classes:
            return cls(dim)
        hidden = min(HIDDEN, dim // classes - 1)
        if hidden < 2:
            raise ValueError(f"{classes} classes need {3 * classes} entries at least")
        return cls(dim, classes, hidden)

    @classmethod
    def of(cls, task: bytes) -> SyntheticTask | None:
        """None: ``task`` is to train a real model, or no task."""
        try:
            stated = json.loads(task)
            return cls(**{name: int(value) for name, value in stated.items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def to_bytes(self) -> bytes:
        stated = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(stated, separators=(",", ":"), sort_keys=True).encode()

    @property
    def output(self) -> OutputShape | None:
        """The softmax layer, at the beginning of the model."""
        return OutputShape(0, self.classes, self.hidden) if self.classes else None

    def samples(self, seed: int, count: int) -> tuple[Floats, NDArray[np.int64]]:
        """``count`` of ``seed``: inputs (count, hidden) around a centre per class, and labels."""
        rng = np.random.default_rng([_SEED, seed])
        labels = rng.integers(self.classes, size=count)
        inputs = _centres(self.classes, self.hidden)[labels]
        inputs = inputs + _NOISE * rng.standard_normal((count, self.hidden))
        return inputs.astype(np.float32), labels

    def clean_means(self) -> Floats | None:
        """Mean input of each class (classes, hidden) over clean samples that follow from the task,
        so that no policy has to sign them; None without classes."""
        return _clean_means(self) if self.classes else None

    def logits(self, model: Floats, inputs: Floats) -> NDArray[np.float64]:
        weights, bias = self._layer(model)
        return inputs.astype(np.float64) @ weights.T + bias

    def trained(
        self, model: Floats, inputs: Floats, labels: NDArray[np.int64], steps: int, rate: float
    ) -> Floats:
        """What ``steps`` of gradient descent add to the layer, flat (classes · (hidden + 1),)."""
        weights, bias = self._layer(model)
        first = weights.copy(), bias.copy()
        wanted = np.eye(self.classes)[labels]
        for _ in range(steps):
            found = inputs @ weights.T + bias
            found = np.exp(found - found.max(axis=1, keepdims=True))
            error = (found / found.sum(axis=1, keepdims=True) - wanted) / len(labels)
            weights -= rate * error.T @ inputs
            bias -= rate * error.sum(axis=0)
        change = np.concatenate([(weights - first[0]).ravel(), bias - first[1]])
        return change.astype(np.float32)

    def _layer(self, model: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        entries = self.classes * self.hidden
        weights = model[:entries].astype(np.float64).reshape(self.classes, self.hidden)
        return weights, model[entries : entries + self.classes].astype(np.float64)


@functools.lru_cache(maxsize=2)
def _clean_means(task: SyntheticTask) -> Floats:
    inputs, labels = task.samples(_CLEAN, _CLEAN_SAMPLES)
    sums = np.zeros((task.classes, task.hidden))
    np.add.at(sums, labels, inputs)
    counts = np.bincount(labels, minlength=task.classes)
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _centres(classes: int, hidden: int) -> NDArray[np.float64]:
    """Like activations: not below zero."""
    rng = np.random.default_rng([_SEED, classes, hidden])
    return np.abs(rng.standard_normal((classes, hidden))) * 1.5
