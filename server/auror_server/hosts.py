"""What stands behind the model. The only module of the server that reaches torch, and only when
a real model is trained; load tests need none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.round.host import ModelHost, OutputShape
from auror_server.config import LearningSection


class SyntheticHost:
    """A model of ``dim`` numbers that nobody trains: load tests."""

    def __init__(self, dim: int) -> None:
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def task(self) -> bytes:
        return json.dumps({"synthetic": self._dim}).encode()

    @property
    def output(self) -> OutputShape | None:
        return None

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.full(self._dim, index, dtype=np.float32)

    def confusion_basis(self, model: NDArray[np.float32]) -> NDArray[np.float64] | None:
        return None

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return {}


def make_host(settings: LearningSection) -> ModelHost:
    """Raises UserError when the data set, model or device cannot be used."""
    if settings.host == "synthetic":
        return SyntheticHost(settings.dim)
    # imported here: a synthetic host must not pay seconds for torch
    from auror.learn.attacks import parse_attack  # noqa: PLC0415
    from auror.learn.datasets import load_dataset  # noqa: PLC0415
    from auror.learn.device import resolve_device  # noqa: PLC0415
    from auror.learn.host import TorchHost  # noqa: PLC0415
    from auror.learn.models import ModelSpec  # noqa: PLC0415
    from auror.learn.task import Task  # noqa: PLC0415
    from auror.learn.training import TrainingParams  # noqa: PLC0415

    folder = Path(settings.data_dir) if settings.data_dir else None
    data = load_dataset(settings.dataset, folder, settings.seed, settings.clean_samples)
    attack = parse_attack(settings.report_attack or "none", data.classes)
    task = Task(
        ModelSpec(settings.model, data.input_shape, data.classes, settings.hidden),
        TrainingParams(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        ),
    )
    return TorchHost(task, data, resolve_device(settings.device), settings.seed, attack)
