"""``auror certs``: what the operator signs, from a few words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auror.deployment.certs import Terms
from auror.errors import ConfigError
from auror.params import Budget, PlanCaps, RoundParams

GROUP_SIZE = 5
"""By default, where enough clients are enrolled to make two groups."""


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """The options of ``auror certs``; None: by the number of clients, or as ``PlanCaps`` says."""

    clients: int
    group_size: int | None = None
    colluders: int | None = None
    dataset: str = "mnist5k"
    data_dir: Path | None = None
    model: str = "mlp"
    rounds: int = 100
    eras: int = 2
    days: int = 365
    seed: int = 1
    parts: tuple[str, ...] | None = None

    def params(self) -> RoundParams:
        """Two groups at least, and c ≤ g − 2: then a group never holds colluders and one honest
        client only, whatever is drawn."""
        group = self.group_size
        if group is None:
            group = min(GROUP_SIZE, max(2, self.clients // 2))
        colluders = self.colluders
        if colluders is None:
            colluders = max(0, min(group - 2, self.clients - 2))
        return RoundParams(group_size=group, colluders=colluders)


def terms_of(wanted: Enrolment) -> Terms:
    """Load the data set for its shape, and draw the first models.

    Raises:
        UserError: an unknown data set or model, or a number that cannot be used.
    """
    # imported here: enrolling for a load test needs no torch
    from auror.learn.datasets import load_dataset  # noqa: PLC0415
    from auror.learn.device import resolve_device  # noqa: PLC0415
    from auror.learn.host import TorchHost  # noqa: PLC0415
    from auror.learn.models import MODEL_KINDS, ModelSpec  # noqa: PLC0415
    from auror.learn.task import Task  # noqa: PLC0415
    from auror.learn.training import TrainingParams  # noqa: PLC0415

    kinds = {str(kind): kind for kind in MODEL_KINDS}
    if wanted.model not in kinds:
        raise ConfigError(f"--model {wanted.model}: choose one of {', '.join(kinds)}")
    if wanted.eras < 1:
        raise ConfigError(f"--eras {wanted.eras}: choose 1 or more trainings")
    budget = Budget.for_rounds(wanted.rounds, wanted.eras)
    data = load_dataset(wanted.dataset, wanted.data_dir, wanted.seed)
    spec = ModelSpec(kinds[wanted.model], data.input_shape, data.classes)
    task = Task(spec, TrainingParams(), data.standardisation)
    host = TorchHost(task, data, resolve_device("cpu"), wanted.seed)
    return Terms(
        params=wanted.params(),
        task=task.to_bytes(),
        first_models=tuple(host.initial(era) for era in range(wanted.eras)),
        budget=budget,
        caps=PlanCaps() if wanted.parts is None else PlanCaps(parts=wanted.parts),
        days=wanted.days,
    )


def synthetic_terms(dim: int, params: RoundParams, rounds: int) -> Terms:
    """For load tests: a model of ``dim`` numbers that nobody trains."""
    return Terms(
        params=params,
        task=json.dumps({"synthetic": dim}, separators=(",", ":")).encode(),
        first_models=(np.zeros(dim, dtype=np.float32),),
        budget=Budget.for_rounds(rounds, 1),
    )
