"""The signed clean samples, as the clients of a process look at them together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auror.round.label_rows import ClassMeans

if TYPE_CHECKING:
    import torch

    from auror.deployment.clean_samples import CleanSamples
    from auror.learn.task import Task


class Reference:
    """What the signed samples look like under a round's model: the same to all clients of a
    process, so the first of them looks."""

    def __init__(self, clean: CleanSamples | None) -> None:
        self._clean = None if clean is None else (clean.x, clean.y)
        self._lock = threading.Lock()
        self._last: tuple[NDArray[np.float32], ClassMeans | None] | None = None

    def means(
        self, task: Task, model: NDArray[np.float32], device: torch.device
    ) -> ClassMeans | None:
        """See ``auror.learn.evaluate.reference_means``. ``task`` and ``device`` are the process's
        own, the same each time."""
        from auror.learn.evaluate import reference_means  # noqa: PLC0415 - needs torch

        with self._lock:
            if self._last is None or not np.array_equal(self._last[0], model):
                self._last = model, reference_means(task, model, self._clean, device)
            return self._last[1]
