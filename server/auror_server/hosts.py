"""What stands behind the model. The only module of the server that reaches torch, and only when
a real model is trained; load tests need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auror.deployment.clean_samples import CleanSamples
from auror.deployment.logs import logger
from auror.deployment.synthetic_task import SyntheticTask
from auror.round.output import OutputShape
from auror.training.host import ModelHost
from auror_server.config import LearningSection

_log = logger("server")


class ServerHost(ModelHost, Protocol):
    """The port of a training, and what the server's own samples are."""

    def fingerprint(self) -> Mapping[str, Any]:
        """See ``auror.learn.fingerprint``; {} where there are no samples."""


class SyntheticHost:
    """Of load tests: numbers and, maybe, a softmax layer in front of them."""

    def __init__(self, task: bytes, dim: int) -> None:
        self._task, self._found = task, SyntheticTask.of(task) or SyntheticTask(dim)

    @property
    def dim(self) -> int:
        return self._found.synthetic

    @property
    def task(self) -> bytes:
        return self._task

    @property
    def output(self) -> OutputShape | None:
        return self._found.output

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.full(self.dim, index, dtype=np.float32)

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        return self._found.clean_means()

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        found = self._found
        if not found.classes:
            return {}
        inputs, labels = found.samples(_TEST, _SAMPLES)
        return {"accuracy": float((found.logits(model, inputs).argmax(axis=1) == labels).mean())}

    def fingerprint(self) -> Mapping[str, Any]:
        return {}


_TEST, _SAMPLES = 1_000_001, 500
"""A seed that no client has, and how many samples the server draws of it."""


def is_synthetic(task: bytes) -> bool:
    """Whether ``task`` is a load test's."""
    return SyntheticTask.of(task) is not None


def has_nothing_to_read(task: bytes) -> bool:
    """Whether ``task`` is a load test's without classes: it has no model behind it."""
    found = SyntheticTask.of(task)
    return found is not None and not found.classes


def device_of(settings: LearningSection) -> str:
    """Where the server evaluates. Raises ConfigError: not on this machine."""
    from auror.learn.device import resolve_device  # noqa: PLC0415 - as below

    return str(resolve_device(settings.device))


def make_host(settings: LearningSection, task: bytes, clean: CleanSamples | None) -> ServerHost:
    """What stands behind the model that the policy's ``task`` trains; ``clean``: what it signs.

    Raises:
        UserError: the data set or device cannot be used, or does not fit the task.
    """
    found = SyntheticTask.of(task)
    if found is not None:
        return SyntheticHost(task, found.synthetic)
    # imported here: a synthetic host must not pay seconds for torch
    from auror.learn.serving import Learning, host_of  # noqa: PLC0415

    signed = None if clean is None else (clean.x, clean.y)
    host, notes = host_of(Learning(**settings.model_dump()), task, clean=signed)
    for line in notes:
        _log.warning(line)
    return host
