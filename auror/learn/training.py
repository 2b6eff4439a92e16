"""Local training: plain SGD on one client's data, one client at a time or many at once.

Both trainers see the same batches: client seed -> numpy Generator -> one permutation per
epoch, cut into ``ceil(samples / batch_size)`` batches whose sizes differ by at most one (so
that no client takes a full step on the last odd sample). Each repeats bit for bit on an equal
device with an equal thread count; against each other they agree to float rounding only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional

from auror.errors import ConfigError, DataError
from auror.learn.models import loaded, tensors
from auror.registry import in_own_code

if TYPE_CHECKING:
    from auror.learn.task import Task

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Targets = NDArray[np.int64] | NDArray[np.float32]
"""Labels (N,), or numbers (N, …) where a task has no classes."""
_Batch = NDArray[np.int64]
_MATRIX = 2
"""Axes of a linear layer's weights; those of a convolution have more."""
_LARGE_MODEL, _LARGE_IMAGE = 1_000_000, 784
"""Entries of a model, numbers of a sample; 784 is 28 x 28."""


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


def batch_order(samples: int, params: TrainingParams, seed: int) -> list[_Batch]:
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
    _check(task, x, y)
    module = loaded(task, model, device)
    whole = tensors(module)
    start = [tensor.detach().clone() for tensor in whole]
    with repeatable_cudnn(), _drawing(seed, device), in_own_code(f"{task}: training"):
        _descend(task, module, (x, y), params, seed)
    with torch.no_grad():
        update = torch.cat([(new - old).reshape(-1) for new, old in zip(whole, start, strict=True)])
    return _finite(update.cpu().numpy(), params)


def _descend(
    task: Task, module: nn.Module, data: tuple[Floats, Targets], params: TrainingParams, seed: int
) -> None:
    """SGD in place."""
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
            _step(parameters, gradients, momenta, params)


def train_clients(
    task: Task,
    model: Floats,
    xs: Sequence[Floats],
    ys: Sequence[Targets],
    *,
    params: TrainingParams,
    seeds: Sequence[int],
    device: torch.device,
) -> Floats:
    """Train all clients from the same ``model`` (dim,): at once, vectorised with vmap, where the
    task allows it (``Task.together``) and it is faster (``faster_at_once``), else one by one.

    Args:
        xs: per client (N_i, *input_shape) float32; the N_i may differ.
        ys: per client (N_i,).
        seeds: per client; the same seed gives the same batches as in ``train_client``.

    Returns:
        The updates, float32 (clients, dim).

    Raises:
        DataError: as ``train_client``, or lists of unequal length.
    """
    if not len(xs) == len(ys) == len(seeds):
        raise DataError(f"got {len(xs)} inputs, {len(ys)} labels, {len(seeds)} seeds: one each")
    if not xs:
        return np.zeros((0, task.layout.dim), dtype=np.float32)
    way = train_at_once if task.together and faster_at_once(task, device) else train_one_by_one
    return way(task, model, xs, ys, params=params, seeds=seeds, device=device)


def faster_at_once(task: Task, device: torch.device) -> bool:
    """Whether it pays to train clients of one ``task`` at once: on a GPU always. On a CPU it saves
    the calls, not the arithmetic, and the models of all do not fit into its cache: so not for large
    models, nor for convolutions over large images (``auror bench train``, docs/performance.md)."""
    layout = task.layout
    convolves = any(len(piece.shape) > _MATRIX for piece in layout.slices)
    large = layout.dim >= _LARGE_MODEL or (convolves and task.inputs >= _LARGE_IMAGE)
    return device.type != "cpu" or not large


def train_one_by_one(
    task: Task,
    model: Floats,
    xs: Sequence[Floats],
    ys: Sequence[Targets],
    *,
    params: TrainingParams,
    seeds: Sequence[int],
    device: torch.device,
) -> Floats:
    """``train_clients`` as so many ``train_client``."""
    return np.stack(
        [
            train_client(task, model, x, y, params=params, seed=seed, device=device)
            for x, y, seed in zip(xs, ys, seeds, strict=True)
        ]
    )


def train_at_once(
    task: Task,
    model: Floats,
    xs: Sequence[Floats],
    ys: Sequence[Targets],
    *,
    params: TrainingParams,
    seeds: Sequence[int],
    device: torch.device,
) -> Floats:
    """``train_clients`` vectorised with vmap; ``task.together``."""
    for x, y in zip(xs, ys, strict=True):
        _check(task, x, y)
    orders = [batch_order(len(y), params, seed) for y, seed in zip(ys, seeds, strict=True)]
    # Clients with most steps first: at any step the ones still training are a prefix, so a
    # client that has finished costs nothing and its momentum cannot drag it on.
    ranked = sorted(range(len(ys)), key=lambda i: (-len(orders[i]), i))
    module = loaded(task, model, device)
    names = [name for name, _ in module.named_parameters()]
    start = [parameter.detach() for parameter in module.parameters()]
    stacked = [p.expand(len(ys), *p.shape).clone().requires_grad_() for p in start]
    momenta = [torch.zeros_like(p) for p in stacked]
    skeleton = copy.deepcopy(module).to("meta")  # functional_call supplies every parameter

    def forward(values: tuple[torch.Tensor, ...], batch: torch.Tensor) -> torch.Tensor:
        named = dict(zip(names, values, strict=True))
        logits: torch.Tensor = functional_call(skeleton, named, (batch,))
        return logits

    many = vmap(forward)
    samples = torch.as_tensor(np.concatenate(xs), device=device)
    labels = torch.as_tensor(np.concatenate(ys), device=device)
    offsets = np.concatenate(([0], np.cumsum([len(y) for y in ys])))
    with repeatable_cudnn():
        for step in range(len(orders[ranked[0]])):
            active = [i for i in ranked if len(orders[i]) > step]
            index, weight = _pad([orders[i][step] + offsets[i] for i in active])
            rows = torch.from_numpy(index).to(device)
            values = tuple(p[: len(active)] for p in stacked)
            with in_own_code(f"{task}: training with vectorised = True"):
                logits = many(values, samples[rows])
            losses = functional.cross_entropy(
                logits.flatten(0, 1), labels[rows].flatten(), reduction="none"
            )
            loss = (losses * torch.from_numpy(weight).to(device).flatten()).sum()
            gradients = torch.autograd.grad(loss, values)
            with torch.no_grad():
                live = [p.detach()[: len(active)] for p in stacked]
                _step(live, gradients, [m[: len(active)] for m in momenta], params)
    updates = np.empty((len(ys), task.layout.dim), dtype=np.float32)
    with torch.no_grad():
        flat = torch.cat([(p - s).flatten(1) for p, s in zip(stacked, start, strict=True)], 1)
    updates[ranked] = flat.cpu().numpy()
    return _finite(updates, params)


def repeatable_cudnn() -> AbstractContextManager[None]:
    """cuDNN on, but only its kernels that repeat bit for bit, in full float32.

    ``enabled`` must be said: the context manager's own default switches cuDNN off, and
    convolutions on a GPU then take an order of magnitude longer.
    """
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, deterministic=True, benchmark=False, allow_tf32=False
    )
    return flags


def _step(
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


def _pad(batches: Sequence[_Batch]) -> tuple[_Batch, Floats]:
    """Batches of unequal size as index (clients, longest) and weights that sum to 1 a row."""
    longest = max(len(batch) for batch in batches)
    index = np.empty((len(batches), longest), dtype=np.int64)
    weight = np.zeros((len(batches), longest), dtype=np.float32)
    for row, batch in enumerate(batches):
        index[row, : len(batch)] = batch
        index[row, len(batch) :] = batch[0]  # any valid sample: it weighs nothing
        weight[row, : len(batch)] = 1 / len(batch)
    return index, weight


@contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's generators seeded, and afterwards as they were."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _check(task: Task, x: Floats, y: Targets) -> None:
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


def _finite(update: Floats, params: TrainingParams) -> Floats:
    if not np.isfinite(update).all():
        raise DataError(
            "training diverged: the update is not finite; lower learning_rate "
            f"(now {params.learning_rate:g}) or momentum (now {params.momentum:g})"
        )
    return update
