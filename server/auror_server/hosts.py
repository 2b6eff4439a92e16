"""What stands behind the model. The only module of the server that reaches torch, and only when
a real model is trained; load tests need none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auror.deployment.logs import logger
from auror.round.output import OutputShape
from auror.training.host import ModelHost
from auror_server.config import LearningSection

_log = logger("server")


class ServerHost(ModelHost, Protocol):
    """The port of a training, and what the server's own samples are."""

    def fingerprint(self) -> Mapping[str, Any]:
        """See ``auror.learn.fingerprint``; {} where there are no samples."""


class SyntheticHost:
    """A model of ``dim`` numbers that nobody trains: load tests."""

    def __init__(self, task: bytes, dim: int) -> None:
        self._task = task
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def task(self) -> bytes:
        return self._task

    @property
    def output(self) -> OutputShape | None:
        return None

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.full(self._dim, index, dtype=np.float32)

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        return None

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return {}

    def fingerprint(self) -> Mapping[str, Any]:
        return {}


def synthetic_dim(task: bytes) -> int | None:
    """Entries of a load test's model; None when ``task`` is to train a real one."""
    try:
        return int(json.loads(task)["synthetic"])
    except (ValueError, KeyError, TypeError):
        return None


def make_host(settings: LearningSection, task: bytes) -> ServerHost:
    """What stands behind the model that the policy's ``task`` trains.

    Raises:
        UserError: the data set or device cannot be used, or does not fit the task.
    """
    dim = synthetic_dim(task)
    if dim is not None:
        return SyntheticHost(task, dim)
    # imported here: a synthetic host must not pay seconds for torch
    from auror.learn.serving import Learning, host_of  # noqa: PLC0415

    host, notes = host_of(Learning(**settings.model_dump()), task)
    for line in notes:
        _log.warning(line)
    return host
