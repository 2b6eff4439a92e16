"""Section ``train``: local training of a round's clients, at once and one by one.

The floor is what any training of theirs has to do: a forward and a backward pass for every batch,
in a module that is built, without anything that moves a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from auror.bench.speed.clock import cheapest
from auror.bench.speed.floors import MachineFloors
from auror.experiments.progress import Progress, Reporter
from auror.learn.architectures import Cnn, Labelled, Mlp, ResNet18
from auror.learn.cohort_training import faster_at_once, train_at_once, train_one_by_one
from auror.learn.device import resolve_device
from auror.learn.models import build, flatten, loaded
from auror.learn.training import Floats, Labels, TrainingParams, batch_order

_CLASSES = 10


@dataclass(frozen=True)
class TrainingSize:
    """So many clients with so many samples each, drawn at random: it is time that is measured."""

    task: Labelled
    clients: int
    samples: int

    @property
    def name(self) -> str:
        """What ``only`` names it."""
        return f"{self.task.word}-{'x'.join(map(str, self.task.input_shape))}"

    def data(self) -> tuple[list[Floats], list[Labels]]:
        """Of every client."""
        rng = np.random.default_rng([7, self.clients])
        shape = (self.samples, *self.task.input_shape)
        xs = [rng.normal(size=shape).astype(np.float32) for _ in range(self.clients)]
        return xs, [rng.integers(0, _CLASSES, self.samples) for _ in range(self.clients)]


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """CPU seconds on a CPU, seconds of the clock on a GPU, of all clients together."""

    HEAD: ClassVar = (
        "model", "clients", "samples", "d", "device", "at once", "one by one", "chosen", "floor",
        "chosen / better", "chosen / floor",
    )  # fmt: skip

    name: str
    clients: int
    samples: int
    d: int
    device: str
    at_once_seconds: float
    one_by_one_seconds: float
    at_once: bool
    """Which of them ``train_clients`` chooses."""
    floor_seconds: float
    ratio_to_better: float
    ratio_to_floor: float

    def cells(self) -> tuple[str, ...]:
        """For the table under ``HEAD``."""
        return (
            self.name, f"{self.clients}", f"{self.samples}", f"{self.d:,}", self.device,
            f"{1e3 * self.at_once_seconds:,.1f}", f"{1e3 * self.one_by_one_seconds:,.1f}",
            "at once" if self.at_once else "one by one", f"{1e3 * self.floor_seconds:,.1f}",
            f"{self.ratio_to_better:.2f}", f"{self.ratio_to_floor:.2f}",
        )  # fmt: skip


def sizes(reduced: bool) -> dict[TrainingSize, None]:
    """30 clients with the samples of digits and mnist5k, and of coloured signs."""
    small = TrainingSize(Mlp((1, 8, 8), _CLASSES), 30, 48)
    if reduced:
        return {small: None}
    image, sign = (1, 28, 28), (3, 32, 32)
    others = (
        TrainingSize(Mlp(image, _CLASSES), 30, 160),
        TrainingSize(Mlp(sign, _CLASSES), 30, 160),
        TrainingSize(Cnn((1, 8, 8), _CLASSES), 30, 48),
        TrainingSize(Cnn(image, _CLASSES), 30, 160),
        TrainingSize(Cnn(sign, _CLASSES), 10, 64),
        TrainingSize(ResNet18(image, _CLASSES, width=16), 4, 32),
    )
    return dict.fromkeys((small, *others))


def run(
    wanted: Mapping[TrainingSize, None], floors: MachineFloors, report: Reporter
) -> list[TrainingRow]:
    """A row per model and device: the CPU, one thread, and the GPU if there is one."""
    del floors  # of another kind
    devices = dict.fromkeys((torch.device("cpu"), resolve_device("auto")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for at, size in enumerate(wanted):
            report(Progress(stage="train", round=at + 1, rounds=len(wanted), note=size.name))
            rows += [_row(size, device) for device in devices]
    finally:
        torch.set_num_threads(threads)
    return rows


def _row(size: TrainingSize, device: torch.device) -> TrainingRow:
    task, params = size.task, TrainingParams()
    model, (xs, ys) = flatten(build(task, 1)), size.data()
    clients = list(zip(xs, ys, range(size.clients), strict=True))

    def seconds(work: Callable[[], object]) -> float:
        spent = cheapest(work)
        return spent.cpu_seconds if device.type == "cpu" else spent.seconds

    def trained(way: Callable[..., Floats]) -> float:
        return seconds(lambda: way(task, model, clients, params, device))

    together, alone = trained(train_at_once), trained(train_one_by_one)
    floor = seconds(lambda: _passes(size, model, xs, ys, params, device))
    chosen = together if (at_once := faster_at_once(task, device)) else alone
    return TrainingRow(
        size.name, size.clients, size.samples, len(model), str(device), round(together, 6),
        round(alone, 6), at_once, round(floor, 6), round(chosen / min(together, alone), 2),
        round(chosen / floor, 2),
    )  # fmt: skip


def _passes(
    size: TrainingSize,
    model: Floats,
    xs: Sequence[Floats],
    ys: Sequence[Labels],
    params: TrainingParams,
    device: torch.device,
) -> None:
    """Forward and backward, every batch of every client."""
    module = loaded(size.task, model, device)
    parameters = list(module.parameters())
    for at, (x, y) in enumerate(zip(xs, ys, strict=True)):
        samples, labels = torch.as_tensor(x, device=device), torch.as_tensor(y, device=device)
        for batch in batch_order(size.samples, params, at):
            index = torch.from_numpy(batch).to(device)
            loss = size.task.loss(module(samples[index]), labels[index])
            torch.autograd.grad(loss, parameters)
    if device.type != "cpu":
        torch.cuda.synchronize(device)
