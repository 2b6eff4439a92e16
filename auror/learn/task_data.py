"""A task and its samples: from the task's own loaders, from a path, or from a data set by name.

A task's loaders give raw samples; whoever loads them standardises them as the task says, at the
server, at each client and in simulations alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError
from auror.learn.datasets import Dataset
from auror.learn.own_data import DataSource, load_data
from auror.learn.partition import Indices, Labels, Partition
from auror.learn.task import ServerData, Task
from auror.learn.tasks import ChosenTask
from auror.learn.training import Floats, Targets
from auror.params import CLEAN_PER_CLASS
from auror.registry import in_own_code

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class AsLoaded:
    """The task's loader knows which samples each client has."""

    shares: tuple[Indices, ...]

    def split(
        self, labels: Labels, clients: int, seed: int, tracks: Indices | None = None
    ) -> list[Indices]:
        """Indices into ``labels`` (N,), per client."""
        return list(self.shares[:clients])

    def __str__(self) -> str:
        return "as loaded"


@dataclass(frozen=True)
class TaskData:
    """A task, the samples of a whole simulation, and who has which."""

    task: Task
    data: Dataset
    partition: Partition | AsLoaded


def simulated(
    chosen: ChosenTask,
    source: DataSource,
    seed: int,
    clean_per_class: int,
    clients: int,
    partition: Partition,
) -> TaskData:
    """Everything for a simulation of ``clients`` clients.

    Raises:
        UserError: the task or its samples cannot be used, or ``partition`` has no effect on them.
    """
    if not chosen.own:
        data = load_data(source, seed, clean_per_class)
        return TaskData(chosen.find(data.spec), data, partition)
    task = chosen.find()
    if task.classes is None and str(partition) != "iid":
        raise ConfigError(
            f"partition = {partition} deals by label, and {task} has none: choose iid"
        )
    loaded = [client_side(task, source.path, client) for client in range(clients)]
    given = [pair for pair in loaded if pair is not None]
    if not given:
        data = load_data(source, seed, clean_per_class, task.samples)
        return TaskData(task, data, partition)
    if len(given) < clients:
        raise ConfigError(f"{task}: client_data gave samples for some clients and None for others")
    if str(partition) != "iid":
        raise ConfigError(
            f"partition = {partition} has no effect: {task} loads every client's own samples"
        )
    server = server_side(task, source, seed, clean_per_class)
    xs, ys = [x for x, _ in given], [y for _, y in given]
    cuts = np.cumsum([len(y) for y in ys])
    shares = np.split(np.arange(cuts[-1]), cuts[:-1])
    data = Dataset(
        name=task.reference,
        spec=task.samples,
        train_x=np.concatenate(xs),
        train_y=cast("Labels", np.concatenate(ys)),
        test_x=server.test_x,
        test_y=server.test_y,
        clean_x=server.clean_x,
        clean_y=server.clean_y,
        notes=server.notes,
    )
    return TaskData(task, data, AsLoaded(tuple(shares)))


def server_side(task: Task, source: DataSource, seed: int, clean_per_class: int) -> Dataset:
    """The server's test and clean samples, nobody else's.

    Raises:
        UserError: they cannot be read, or do not fit the task.
    """
    with in_own_code(f"{task}: server_data", DataError, _hint(source.path)):
        found: object = task.server_data(source.path)
    if found is None:
        return load_data(source, seed, clean_per_class, task.samples, dealt=False)
    if not isinstance(found, ServerData):
        raise DataError(
            f"{task}: server_data must return auror.ServerData(test_x, test_y, …) or None, not"
            f" {type(found).__name__}"
        )
    if (found.clean_x is None) != (found.clean_y is None):
        raise DataError(f"{task}: server_data: give clean_x and clean_y, or neither")
    _refuse_unread(task, source)
    test = _checked(task, "server_data: test", found.test_x, found.test_y)
    clean_x, clean_y = _nothing(task)
    if clean_per_class and found.clean_x is not None and found.clean_y is not None:
        if task.classes is None:
            raise DataError(f"{task}: server_data: clean samples show classes, and there are none")
        if clean_per_class != CLEAN_PER_CLASS:
            raise ConfigError(
                f"clean_per_class = {clean_per_class} has no effect: {task} loads its own clean"
                " samples, all of them are taken: leave it out, or choose 0"
            )
        clean_x, labels = _checked(task, "server_data: clean", found.clean_x, found.clean_y)
        clean_y = labels.astype(np.int64)
    test_x, test_y = test[0], cast("Labels", test[1])
    empty = _nothing(task)
    return Dataset(task.reference, task.samples, *empty, test_x, test_y, clean_x, clean_y)


def fitting_clean(task: Task, x: Floats, y: Labels) -> tuple[Floats, Labels]:
    """``x`` (N, *input_shape) and ``y`` (N,), clean samples for label rows of ``task``.

    Raises:
        ConfigError: they have another shape, or a class has none.
    """
    spec = task.samples
    if x.shape[1:] != spec.input_shape:
        raise ConfigError(
            f"clean samples of shape {x.shape[1:]} for a task of {spec.input_shape}: let the"
            " operator make a new deployment with `auror certs`"
        )
    missing = np.setdiff1d(np.arange(spec.classes or 0), y)
    if len(missing) or int(y.max(initial=0)) >= (spec.classes or 0):
        which = f"no clean sample of class {missing[0]}" if len(missing) else "a class too many"
        raise ConfigError(
            f"{which}: give some of each class that the task has, or sign none"
            " (`auror certs --clean-per-class 0`)"
        )
    return x.astype(np.float32, copy=False), y.astype(np.int64, copy=False)


def _refuse_unread(task: Task, source: DataSource) -> None:
    """Raises ConfigError where something else than the task's loaders is told of samples."""
    told = {
        "dataset": source.dataset if source.path is None else "",
        "data_dir": source.data_dir,
        "label_column": source.label_column,
        "range": source.range,
    }
    for name, value in told.items():
        if value:
            raise ConfigError(
                f"{name} = {value} has no effect: {task} loads its own samples: leave it out"
            )


def client_side(task: Task, path: Path | None, client: int) -> tuple[Floats, Targets] | None:
    """One client's inputs (N, *input_shape) float32 and targets from the task's own loader; None
    where the task has none.

    Raises:
        UserError: they cannot be read, or do not fit the task.
    """
    with in_own_code(f"{task}: client_data", DataError, _hint(path)):
        found: object = task.client_data(path, client)
    if found is None:
        return None
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise DataError(
            f"{task}: client_data({client}) must return two arrays (x, y) or None, not"
            f" {type(found).__name__}"
        )
    return _checked(task, f"client_data({client})", *found)


def own_test(task: Task, path: Path | None, client: int) -> Dataset | None:
    """One client's samples from the task's own loader, all of them for the test; None as above."""
    found = client_side(task, path, client)
    if found is None:
        return None
    x, y, (no_x, no_y) = found[0], cast("Labels", found[1]), _nothing(task)
    return Dataset(task.reference, task.samples, no_x, no_y, x, y, no_x, no_y)


def _hint(path: Path | None) -> str:
    """Beside what a loader raised: most need a path."""
    return " (no --data was given)" if path is None else ""


def _checked(task: Task, where: str, x: Array, y: Array) -> tuple[Floats, Targets]:
    raw, targets = np.asarray(x), np.asarray(y)
    shown = f"{task}: {where}"
    if raw.dtype.kind not in "biuf" or targets.dtype.kind not in "biuf":
        raise DataError(f"{shown}: x is {raw.dtype} and y {targets.dtype}: give real numbers")
    if (
        not (raw.ndim and targets.ndim)
        or raw.shape[1:] != task.input_shape
        or len(raw) != len(targets)
    ):
        raise DataError(
            f"{shown}: x must be (samples, {', '.join(map(str, task.input_shape))}) and y as long,"
            f" not {raw.shape} and {targets.shape}"
        )
    if not len(raw):
        raise DataError(f"{shown}: no samples")
    if not (np.isfinite(raw).all() and np.isfinite(targets).all()):
        raise DataError(f"{shown}: some values are not finite; fill them in or leave them out")
    inputs = task.standardisation.apply(raw)
    if task.classes is None:
        return inputs, targets.astype(np.float32)
    labels = targets.astype(np.int64)
    wrong = np.flatnonzero((labels != targets) | (labels < 0) | (labels >= task.classes))
    if labels.ndim != 1 or len(wrong):
        what = f"y[{wrong[0]}] is {targets[wrong[0]]}" if len(wrong) else f"y is {labels.shape}"
        raise DataError(f"{shown}: {what}: labels are whole numbers 0 … {task.classes - 1}")
    return inputs, labels


def _nothing(task: Task) -> tuple[Floats, Labels]:
    return np.empty((0, *task.input_shape), np.float32), np.empty(0, np.int64)
