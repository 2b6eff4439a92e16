"""The model as a campaign sees it (``auror.training.host.ModelHost``), with torch behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auror.learn.attack import Attack
from auror.learn.datasets import Dataset
from auror.learn.evaluate import class_means, evaluate, try_metrics
from auror.learn.fingerprint import fingerprint
from auror.learn.models import build, flatten
from auror.learn.pinned import PinnedTask
from auror.round.output import OutputShape


class TorchHost:
    """Initial models, class means and the metrics of one task.

    ``data.clean_x`` are the clean samples that the policy signs, if it signs any. ``attack`` only
    names the classes that ``evaluate`` reports on; neither training nor the defence looks at it.
    """

    def __init__(
        self,
        pinned: PinnedTask,
        data: Dataset,
        device: torch.device,
        seed: int,
        attack: Attack | None = None,
    ) -> None:
        self._pinned = pinned
        self._task = pinned.task
        self._data = data
        self._device = device
        self._seed = seed
        self._attack = attack

    @property
    def dim(self) -> int:
        return self._task.layout.dim

    @property
    def task(self) -> bytes:
        return self._pinned.to_bytes()

    @property
    def output(self) -> OutputShape | None:
        return self._task.layout.output

    def initial(self, index: int) -> NDArray[np.float32]:
        return first_model(self._pinned, self._seed, index)

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        data = self._data
        if not len(data.clean_y):
            return None
        return class_means(self._task, model, data.clean_x, data.clean_y, self._device)

    def try_metrics(self) -> None:
        """Raises ConfigError when the task's metrics would fail after the first round."""
        data = self._data
        try_metrics(self._task, self.initial(0), data.test_x, data.test_y, self._device)

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return evaluate(
            self._task,
            model,
            self._data.test_x,
            self._data.test_y,
            attack=self._attack,
            device=self._device,
        ).to_dict()

    def fingerprint(self) -> Mapping[str, Any]:
        """Which samples the server itself holds; those it dealt to nobody are not its own."""
        data = self._data
        return fingerprint(replace(data, train_x=data.train_x[:0], train_y=data.train_y[:0]))


def first_model(pinned: PinnedTask, seed: int, era: int) -> NDArray[np.float32]:
    """The fresh model (d,) with which training ``era`` begins."""
    drawn = int(np.random.SeedSequence([seed, era]).generate_state(1)[0])
    return flatten(build(pinned.task, drawn))
