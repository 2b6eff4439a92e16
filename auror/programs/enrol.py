"""``auror certs``: what the operator signs, from a few words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from auror.deployment.addresses import MAX_CLIENTS
from auror.deployment.certs import Terms
from auror.deployment.clean_samples import CleanSamples
from auror.deployment.issuing import VALID_DAYS
from auror.deployment.model_file import read_model, tensor_entries, tensor_shapes
from auror.deployment.synthetic_task import SyntheticTask
from auror.errors import ConfigError, DataError
from auror.experiments.options import Options
from auror.fields import Like, Range, check_fields, default_of
from auror.params import (
    DATASET,
    LABEL_PART,
    PACKAGED,
    SKETCH_PART,
    Budget,
    PlanCaps,
    RoundParams,
)
from auror.round.output import OutputShape
from auror.round.policy import Policy
from auror.training.host import ModelHost
from auror.training.observations import label_rows


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """What ``auror certs`` can be asked for; None: by the number of clients."""

    clients: Annotated[int, Range(2, MAX_CLIENTS)] = Options.clients
    """n, clients to enrol."""
    group_size: Annotated[int, Like(RoundParams)] | None = None
    """g, clients per group; by default 5, or half of the clients."""
    colluders: Annotated[int, Like(RoundParams)] | None = None
    """c, clients assumed to collude; by default g - 2."""
    dataset: str = Options.dataset
    """digits, mnist5k, mnist, fashion_mnist, gtsrb or signs-synthetic: decides shape and scale of
    the samples; by default mnist5k, or the samples that a task of one's own loads."""
    data_dir: Path | None = None
    """Folder of torchvision's sets; downloaded there when absent."""
    data: Path | None = None
    """The operator's own samples instead: they decide shape, classes and scale of everybody's."""
    label_column: Annotated[str, Like(Options)] = Options.label_column
    data_range: Annotated[str, Like(Options)] = Options.data_range
    clean_per_class: Annotated[int, Like(Options)] = Options.clean_per_class
    """Clean samples of each class to sign, along which clients' statistics are read; everybody gets
    them. 0 = none, the model's output weights serve."""
    task: Annotated[str, Like(Options)] = Options.task
    rounds: Annotated[int, Range(1)] = 100
    """Most rounds of one training: the budget of everybody's data."""
    trainings: Annotated[int, Range(1)] = 2
    """How many are signed, each from a fresh model; a restart after a flag is one."""
    from_model: Path | None = None
    """Model file of a finished run, from which the first training begins instead of a fresh
    model; no round may have been trained from it yet."""
    days: Annotated[int, Range(1, VALID_DAYS)] = default_of(Terms, "days")
    """Days until the policy expires."""
    certificate_days: Annotated[int, Range(1, VALID_DAYS)] = default_of(Terms, "certificate_days")
    """Days until certificates expire, but for the CA's own."""
    watch_rate: Annotated[float, Like(RoundParams)] = default_of(RoundParams, "watch_rate")
    patience: Annotated[int, Like(RoundParams)] = default_of(RoundParams, "patience")
    training_patience: Annotated[int, Like(RoundParams)] = default_of(
        RoundParams, "training_patience"
    )
    parts: str | None = None
    """Statistics a server may ask for, e.g. label-rows,output-layer; by default label-rows, or
    count-sketch where the task has no labels or no linear output layer."""
    release_model: Annotated[bool, Like(Policy)] = default_of(Policy, "release_model")
    seed: Annotated[int, Range(0)] = Options.seed
    """Seed of the first models."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in (("dataset", self.dataset), ("data_dir", self.data_dir)):
            if self.data is not None and value:
                raise ConfigError(f"{name} = {value} has no effect with own data: leave it out")
        if self.data is None and (self.label_column or self.data_range):
            name = "label_column" if self.label_column else "data_range"
            raise ConfigError(f"{name} has no effect without own data: leave it out")
        named = self.dataset or DATASET
        if self.data_dir is not None and named in PACKAGED:
            raise ConfigError(
                f"data_dir = {self.data_dir} has no effect with dataset = {named}, which"
                " comes with a package: leave it out"
            )

    def params(self) -> RoundParams:
        return replace(
            usual_params(self.clients, self.group_size, self.colluders),
            watch_rate=self.watch_rate,
            patience=self.patience,
            training_patience=self.training_patience,
        )

    def caps(self, output: OutputShape | None) -> PlanCaps:
        """``output``: the task's output layer with a row per class, None without one.

        Raises:
            ConfigError: parts that do not exist, that read a layer that is not there, or that are
                too many statistics.
        """
        if self.parts is None:
            parts: tuple[str, ...] = (SKETCH_PART,) if output is None else (LABEL_PART,)
        else:
            parts = tuple(sorted({part.strip() for part in self.parts.split(",")}))
        reading = [part for part in PlanCaps(parts=parts).parts if part != SKETCH_PART]
        if reading and output is None:
            raise ConfigError(
                f"parts = {self.parts}: the task has no linear output layer with a row per class"
                f" that {reading[0]} could read: choose {SKETCH_PART}, or leave it out"
            )
        return caps_of(parts, output, self.params())


def caps_of(parts: tuple[str, ...], output: OutputShape | None, params: RoundParams) -> PlanCaps:
    """What is signed for ``parts`` of a task with the layer ``output``.

    Raises:
        ConfigError: more classes or statistics than can be signed.
    """
    classes, entries = (0, 0) if output is None else (output.classes, output.entries)
    return PlanCaps.reading(parts, classes, entries, params.challenge_rows)


def usual_params(clients: int, group_size: int | None, colluders: int | None) -> RoundParams:
    """Two groups at least, and c ≤ g − 2: then a group never holds colluders and one honest
    client only, whatever is drawn."""
    group = group_size
    if group is None:
        group = min(default_of(RoundParams, "group_size"), max(2, clients // 2))
    if colluders is None:
        colluders = max(0, min(group - 2, clients - 2))
    return RoundParams(group_size=group, colluders=colluders)


def terms_of(wanted: Enrolment) -> Terms:
    """Load the data for what they state about everybody's samples; draw the first models.

    Raises:
        UserError: data that cannot be read, an unknown data set or model, or a number that
            cannot be used.
    """
    # imported here: enrolling for a load test needs no torch
    from auror.learn.device import resolve_device  # noqa: PLC0415
    from auror.learn.host import TorchHost  # noqa: PLC0415
    from auror.learn.own_data import DataSource, load_data  # noqa: PLC0415
    from auror.learn.pinned import PinnedTask  # noqa: PLC0415
    from auror.learn.task_data import fitting_clean, server_side  # noqa: PLC0415
    from auror.learn.tasks import find_task, is_own  # noqa: PLC0415

    params = wanted.params()
    watched = params.rounds_of_doubt(wanted.clients)
    budget = Budget.for_rounds(wanted.rounds, wanted.trainings, watched)
    source = DataSource(
        wanted.dataset, wanted.data_dir, wanted.data, wanted.label_column, wanted.data_range
    )
    if is_own(wanted.task):
        task = find_task(wanted.task)
        data = server_side(task, source, wanted.seed, wanted.clean_per_class)
    else:
        data = load_data(source, wanted.seed, wanted.clean_per_class, dealt=False)
        task = find_task(wanted.task, data.spec)
    host = TorchHost(PinnedTask(task, task.training), data, resolve_device("cpu"), wanted.seed)
    clean = None
    if host.output is not None and len(data.clean_y):
        clean = CleanSamples(*fitting_clean(task, data.clean_x, data.clean_y))
        _check_alike(host, params)
    return Terms(
        params=params,
        task=host.task,
        first_models=_first_models(host, wanted),
        budget=budget,
        caps=wanted.caps(host.output),
        days=wanted.days,
        certificate_days=wanted.certificate_days,
        release_model=wanted.release_model,
        clean=clean,
    )


def _check_alike(host: ModelHost, params: RoundParams) -> None:
    """Raises ConfigError: two passes of the same samples are unlike, so that clients would refuse
    every server."""
    model = host.initial(0)
    first, again = label_rows(host, model, params), host.class_means(model)
    if again is None or not first.reads(again, params.label_row_bits()):
        raise ConfigError(
            "task: its module answers the same samples otherwise when it is asked again: in"
            " evaluation it must draw nothing and keep nothing (dropout needs training="
            "self.training), or choose clean_per_class = 0"
        )


def _first_models(host: ModelHost, wanted: Enrolment) -> tuple[NDArray[np.float32], ...]:
    """One of each era, (d,). A restart after a flag begins afresh in any case."""
    fresh = tuple(host.initial(era) for era in range(wanted.trainings))
    if wanted.from_model is None:
        return fresh
    return (_begun(wanted.from_model, host.dim), *fresh[1:])


def further_models(
    policy: Policy, count: int, seed: int, own: str = "", first: Path | None = None
) -> tuple[NDArray[np.float32], ...]:
    """First models, (d,) each, of ``count`` trainings beside those that ``policy`` signs.

    Args:
        own: the task, where it is code of one's own.
        first: model file from which the first of these trainings begins instead.

    Raises:
        UserError: the task is other code than the policy's, or ``first`` is no model of it.
    """
    eras = range(policy.eras, policy.eras + count)
    dim = tensor_entries(policy.task)
    if not tensor_shapes(policy.task):  # a load test's
        fresh = tuple(_synthetic_model(dim, era) for era in eras)
    else:
        from auror.learn.host import first_model  # noqa: PLC0415
        from auror.learn.pinned import PinnedTask  # noqa: PLC0415

        pinned = PinnedTask.from_bytes(policy.task, own, "task")
        fresh = tuple(first_model(pinned, seed, era) for era in eras)
    return fresh if first is None else (_begun(first, dim), *fresh[1:])


def _begun(path: Path, dim: int) -> NDArray[np.float32]:
    model = read_model(path)
    if model.shape != (dim,) or not np.isfinite(model).all():
        raise DataError(
            f"from_model = {path}: {model.size} numbers, the task trains {dim} finite ones; give a"
            " model of the same task"
        )
    return model


def synthetic_terms(
    dim: int,
    params: RoundParams,
    rounds: int,
    trainings: int = 1,
    *,
    clients: int | None = None,
    classes: int = 0,
) -> Terms:
    """For load tests: a model of ``dim`` numbers that nobody trains, with a softmax layer of
    ``classes`` in front unless they are 0; then ``clients`` says how many are to be judged.

    Raises:
        ConfigError: there is one class, or ``dim`` is too small for the layer.
    """
    if classes == 1:
        raise ConfigError("classes = 1: choose 2 or more, or 0 for numbers only")
    try:
        task = SyntheticTask.sized(dim, classes)
    except ValueError as error:
        raise ConfigError(f"dim = {dim}: {error}; raise it, or set classes to 0") from error
    return Terms(
        params=params,
        task=task.to_bytes(),
        first_models=tuple(_synthetic_model(dim, era) for era in range(trainings)),
        caps=caps_of((LABEL_PART,), task.output, params),
        budget=Budget.for_rounds(
            rounds, trainings, None if clients is None else params.rounds_of_doubt(clients)
        ),
        release_model=False,
    )


def _synthetic_model(dim: int, era: int) -> NDArray[np.float32]:
    return np.full(dim, era, dtype=np.float32)
