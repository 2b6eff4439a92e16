"""The model as a campaign sees it (``auror.training.host.ModelHost``), with torch behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from auror.learn.attack import Attack
from auror.learn.datasets import Dataset
from auror.learn.evaluate import class_means, evaluate
from auror.learn.models import build, flatten, layout, output_shape
from auror.learn.task import Task
from auror.round.output import OutputShape


class TorchHost:
    """Initial models, class means and the metrics of one task.

    ``data.clean_x`` are the server's own clean samples, if it has any. ``attack`` only names the
    classes that ``evaluate`` reports on; neither training nor the defence looks at it.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        device: torch.device,
        seed: int,
        attack: Attack | None = None,
    ) -> None:
        self._task = task
        self._data = data
        self._device = device
        self._seed = seed
        self._attack = attack

    @property
    def dim(self) -> int:
        return layout(self._task.model).dim

    @property
    def task(self) -> bytes:
        return self._task.to_bytes()

    @property
    def output(self) -> OutputShape:
        return output_shape(self._task.model)

    def initial(self, index: int) -> NDArray[np.float32]:
        seed = int(np.random.SeedSequence([self._seed, index]).generate_state(1)[0])
        return flatten(build(self._task.model, seed))

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        data = self._data
        if not len(data.clean_y):
            return None
        return class_means(self._task.model, model, data.clean_x, data.clean_y, self._device)

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        found = evaluate(
            self._task.model,
            model,
            self._data.test_x,
            self._data.test_y,
            attack=self._attack,
            device=self._device,
        )
        return {
            "accuracy": found.accuracy,
            "source_recall": found.source_recall,
            "attack_success": found.attack_success,
        }
