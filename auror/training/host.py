"""The port through which a training reaches the model: torch behind it, or nothing but numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auror.round.output import OutputShape


class ModelHost(Protocol):
    """What the server knows about the model that is trained."""

    @property
    def dim(self) -> int:
        """d, entries of the flat model."""

    @property
    def task(self) -> bytes:
        """Canonical JSON for the clients' trainers; its hash enters every round description."""

    @property
    def output(self) -> OutputShape | None:
        """The output layer, or None when there is none to look at."""

    def initial(self, index: int) -> NDArray[np.float32]:
        """The ``index``-th initial model, (d,); another index gives another model."""

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Mean penultimate activation under ``model`` of each class, (classes, hidden); None where
        the policy signs no clean samples: then the output weights stand in."""

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        """Metrics of ``model`` on samples that the server holds, by name."""
