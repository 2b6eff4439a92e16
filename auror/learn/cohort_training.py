"""Training all clients of a process: one after the other, one per core, or all at once.

All three see the batches of ``train_client``. The first two train as it does, bit for bit; at once
agrees with them to float rounding only, and repeats bit for bit.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.func import functional_call, vmap
from torch.nn import functional

from auror.errors import DataError
from auror.learn.device import worker_threads
from auror.learn.models import loaded
from auror.learn.training import (
    Batch,
    Floats,
    Targets,
    TrainingParams,
    batch_order,
    check_samples,
    finite,
    repeatable_cudnn,
    sgd_step,
    train_client,
    train_module,
)
from auror.registry import in_own_code

if TYPE_CHECKING:
    from auror.learn.task import Task

Client = tuple[Floats, Targets, int]
"""Samples, labels and seed, as ``train_client`` takes them."""
_MATRIX = 2
"""Axes of a linear layer's weights; those of a convolution have more."""
_LARGE_MODEL, _LARGE_IMAGE = 150_000, 784
"""Entries of a model, numbers of a sample; 784 is 28 x 28."""


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
    """Train all clients from the same ``model`` (dim,): where the task allows it
    (``Task.together``) at once, vectorised with vmap, if that is faster (``faster_at_once``), else
    one per core; one by one where it does not.

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
    way = train_one_by_one
    if task.together:
        way = train_at_once if faster_at_once(task, device) else train_side_by_side
    return way(task, model, list(zip(xs, ys, seeds, strict=True)), params, device)


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
    clients: Sequence[Client],
    params: TrainingParams,
    device: torch.device,
) -> Floats:
    """``train_clients`` as so many ``train_client``."""
    return np.stack(
        [
            train_client(task, model, x, y, params=params, seed=seed, device=device)
            for x, y, seed in clients
        ]
    )


def train_side_by_side(
    task: Task,
    model: Floats,
    clients: Sequence[Client],
    params: TrainingParams,
    device: torch.device,
) -> Floats:
    """``train_clients`` as so many ``train_client``, bit for bit, as many at a time as there are
    ``worker_threads``. A module that draws while it trains, as dropout does, is trained anew, one
    by one: torch's generator is that of the whole process."""
    building = threading.Lock()

    def trained(client: Client) -> Floats:
        x, y, seed = client
        with building:  # which draws
            module = loaded(task, model, device)
        return train_module(task, module, (x, y), params, seed)

    for x, y, _ in clients:
        check_samples(task, x, y)
    with (
        torch.random.fork_rng(devices=[]),
        repeatable_cudnn(),
        in_own_code(f"{task}: training"),
        ThreadPoolExecutor(min(worker_threads(), len(clients)), "training") as pool,
    ):
        before = torch.get_rng_state()
        updates = list(pool.map(trained, clients))
        if torch.equal(torch.get_rng_state(), before):
            return np.stack(updates)
    return train_one_by_one(task, model, clients, params, device)


def train_at_once(
    task: Task,
    model: Floats,
    clients: Sequence[Client],
    params: TrainingParams,
    device: torch.device,
) -> Floats:
    """``train_clients`` vectorised with vmap; ``task.together``."""
    for x, y, _ in clients:
        check_samples(task, x, y)
    xs, ys, seeds = zip(*clients, strict=True)
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
                sgd_step(live, gradients, [m[: len(active)] for m in momenta], params)
    updates = np.empty((len(ys), task.layout.dim), dtype=np.float32)
    with torch.no_grad():
        flat = torch.cat([(p - s).flatten(1) for p, s in zip(stacked, start, strict=True)], 1)
    updates[ranked] = flat.cpu().numpy()
    return finite(updates, params)


def _pad(batches: Sequence[Batch]) -> tuple[Batch, Floats]:
    """Batches of unequal size as index (clients, longest) and weights that sum to 1 a row."""
    longest = max(len(batch) for batch in batches)
    index = np.empty((len(batches), longest), dtype=np.int64)
    weight = np.zeros((len(batches), longest), dtype=np.float32)
    for row, batch in enumerate(batches):
        index[row, : len(batch)] = batch
        index[row, len(batch) :] = batch[0]  # any valid sample: it weighs nothing
        weight[row, : len(batch)] = 1 / len(batch)
    return index, weight
