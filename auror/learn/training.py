"""Local training: plain SGD on one client's data.

The batches: client seed -> numpy Generator -> one permutation per epoch, cut into
``ceil(samples / batch_size)`` batches whose sizes differ by at most one (so that no client takes a
full step on the last odd sample). It repeats bit for bit on an equal device with an equal thread
count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from auror.errors import ConfigError, DataError
from auror.learn.models import loaded, tensors
from auror.registry import in_own_code

if TYPE_CHECKING:
    from auror.learn.task import Task

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Targets = NDArray[np.int64] | NDArray[np.float32]
"""Labels (N,), or numbers (N, …) where a task has no classes."""
Batch = NDArray[np.int64]
"""Sample indices of one step."""


@dataclass(frozen=True, slots=True)
class TrainingParams:
    """How every client trains within one round (SGD as in torch.optim.SGD).

    The defaults were chosen by measurement (docs/results/training-defaults.md): on mnist5k
    with 30 clients they reach 92 % in 30 rounds, a 4 -> 9 flip by 9 of them shows plainly in
    the undefended model, and updates stay within 0.25, which 16 bits resolve well.
    """

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"epochs must be at least 1, not {self.epochs}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ConfigError(f"learning_rate must be positive, not {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be in [0, 1), not {self.momentum}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"weight_decay must be 0 or more, not {self.weight_decay}")


def client_seed(run_seed: int, round_number: int, client: int) -> int:
    """The seed of one client's batch order in one round; distinct inputs are independent."""
    sequence = np.random.SeedSequence([run_seed, round_number, client])
    return int(sequence.generate_state(1, np.uint64)[0])


def batch_order(samples: int, params: TrainingParams, seed: int) -> list[Batch]:
    """The sample indices of every step of one round, epoch after epoch."""
    rng = np.random.default_rng(seed)
    steps = math.ceil(samples / params.batch_size)
    return [
        batch
        for _ in range(params.epochs)
        for batch in np.array_split(rng.permutation(samples), steps)
    ]


def train_client(
    task: Task,
    model: Floats,
    x: Floats,
    y: Targets,
    *,
    params: TrainingParams,
    seed: int,
    device: torch.device,
) -> Floats:
    """Train one client from ``model`` (dim,) on ``x`` (N, *input_shape), ``y`` (N,).

    ``seed`` decides the batches, and whatever the module draws while it trains (dropout).

    Returns:
        The update, new minus old parameters and float buffers, float32 (dim,).

    Raises:
        DataError: no samples, shapes that do not fit, or training that left finite numbers.
        ConfigError: the module or the loss failed.
    """
    check_samples(task, x, y)
    module = loaded(task, model, device)
    with repeatable_cudnn(), _drawing(seed, device), in_own_code(f"{task}: training"):
        return train_module(task, module, (x, y), params, seed)


def train_module(
    task: Task, module: nn.Module, data: tuple[Floats, Targets], params: TrainingParams, seed: int
) -> Floats:
    """SGD in place. Returns the update."""
    whole = tensors(module)
    start = [tensor.detach().clone() for tensor in whole]
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    momenta = [torch.zeros_like(parameter) for parameter in parameters]
    device = parameters[0].device
    samples, labels = (torch.as_tensor(array, device=device) for array in data)
    for batch in batch_order(len(labels), params, seed):
        index = torch.from_numpy(batch).to(device)
        loss = task.loss(module(samples[index]), labels[index])
        # a parameter that this loss does not reach stays where it is
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        with torch.no_grad():
            sgd_step(parameters, gradients, momenta, params)
    with torch.no_grad():
        update = torch.cat([(new - old).reshape(-1) for new, old in zip(whole, start, strict=True)])
    return finite(update.cpu().numpy(), params)


def repeatable_cudnn() -> AbstractContextManager[None]:
    """cuDNN on, but only its kernels that repeat bit for bit, in full float32.

    ``enabled`` must be said: the context manager's own default switches cuDNN off, and
    convolutions on a GPU then take an order of magnitude longer.
    """
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, deterministic=True, benchmark=False, allow_tf32=False
    )
    return flags


def sgd_step(
    parameters: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    momenta: Sequence[torch.Tensor],
    params: TrainingParams,
) -> None:
    """One SGD step in place (torch.optim.SGD without dampening)."""
    for parameter, gradient, momentum in zip(parameters, gradients, momenta, strict=True):
        direction = gradient
        if params.weight_decay:
            direction = gradient.add(parameter, alpha=params.weight_decay)
        if params.momentum:
            direction = momentum.mul_(params.momentum).add_(direction)
        parameter.sub_(direction, alpha=params.learning_rate)


@contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's generators seeded, and afterwards as they were."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def check_samples(task: Task, x: Floats, y: Targets) -> None:
    if not len(y):
        raise DataError("a client without samples cannot train; lower the number of clients")
    if x.shape != (len(y), *task.input_shape):
        raise DataError(f"samples have shape {x.shape}, expected {(len(y), *task.input_shape)}")
    if task.classes is None:
        return
    if y.dtype != np.int64 or y.ndim != 1:
        raise DataError(f"labels must be whole numbers, one per sample, not {y.dtype} {y.shape}")
    if y.min() < 0 or y.max() >= task.classes:
        raise DataError(f"labels must be in 0..{task.classes - 1}, not {y.min()}..{y.max()}")


def finite(update: Floats, params: TrainingParams) -> Floats:
    if not np.isfinite(update).all():
        raise DataError(
            "training diverged: the update is not finite; lower learning_rate "
            f"(now {params.learning_rate:g}) or momentum (now {params.momentum:g})"
        )
    return update
