"""Any ``nn.Module`` as the flat float32 vector in which it travels.

A model is shipped, masked, summed and stored as one vector: its parameters in the order of
``Module.named_parameters()``, then its float buffers (a BatchNorm's running statistics), each
row-major, concatenated. Whole-number buffers do not travel: sums of counters mean nothing, and
they stay what they are in a fresh module. ``Layout`` says what lies where.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from auror.errors import ConfigError, DataError
from auror.registry import in_own_code
from auror.round.output import OutputShape

if TYPE_CHECKING:
    from auror.learn.task import Task

_PROBE = 2  # samples of zeros that a module is tried on
_SAME = 1e-4  # outputs that differ by so little are the same


@dataclass(frozen=True, slots=True)
class ParameterSlice:
    """Where one named tensor lies in the flat vector.

    ``trained``: a step of SGD moves it; frozen parameters and buffers it does not.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    trained: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """The flat vector's map: ``dim`` entries, all of them covered by ``slices`` in order.

    ``output``: where the output layer lies, ``output_name``: the module that it is; both None where
    no linear layer gives a number per class.
    """

    dim: int
    slices: tuple[ParameterSlice, ...]
    output: OutputShape | None
    output_name: str | None

    def need_output(self) -> OutputShape:
        """Raises ConfigError when there is no output layer."""
        if self.output is None:
            raise ConfigError("this model has no linear output layer with a row per class")
        return self.output


def build(task: Task, seed: int) -> nn.Module:
    """A freshly initialised module on the CPU; equal seeds give equal bits.

    The global torch generator is left as it was found.

    Raises:
        ConfigError: the task builds no module, or one with other numbers than float32.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the module is built on the CPU
        with in_own_code(f"{task}: build()"):
            module: object = task.build()
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{task}: build() must return a torch.nn.Module, not {module!r:.60}")
    for name, tensor in _tensors(module):
        if tensor.dtype != torch.float32:
            raise ConfigError(f"{task}: {name} is {tensor.dtype}: use float32 throughout")
    return module


def layout_of(task: Task) -> Layout:
    """The map of ``task``'s flat vector; the module is tried on zeros. Use ``task.layout``.

    Raises:
        ConfigError: a module that cannot be used; see ``build``. Or one that fails on samples of
            the task's shape, outputs or a loss of another shape, an output layer that is none.
    """
    module = build(task, seed=0)
    slices = []
    offset = 0
    for name, tensor in _tensors(module):
        trained = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        piece = ParameterSlice(name, offset, tuple(tensor.shape), trained)
        slices.append(piece)
        offset = piece.stop
    if not any(piece.trained for piece in slices):
        raise ConfigError(f"{task}: the module has no parameter that could be trained")
    layer = _try(task, module)
    output = _shape(slices, layer)
    return Layout(offset, tuple(slices), output, layer if output is not None else None)


def flatten(module: nn.Module) -> NDArray[np.float32]:
    """The module's parameters and float buffers as one float32 vector (dim,), a copy."""
    with torch.no_grad():
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors(module)])
    vector: NDArray[np.float32] = flat.to("cpu", torch.float32).numpy()
    return vector


def load_flat(module: nn.Module, vector: NDArray[np.float32]) -> None:
    """Write ``vector`` (dim,) into the module, on whichever device its tensors are.

    Raises:
        DataError: the vector has another length than the model, or entries that are not finite.
    """
    targets = tensors(module)
    dim = sum(tensor.numel() for tensor in targets)
    if vector.shape != (dim,):
        raise DataError(f"this model has {dim} entries, the vector has shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise DataError("the model vector holds entries that are not finite")
    offset = 0
    with torch.no_grad():
        for tensor in targets:
            piece = vector[offset : offset + tensor.numel()]
            tensor.copy_(torch.tensor(piece, dtype=torch.float32).view_as(tensor))
            offset += tensor.numel()


def loaded(task: Task, model: NDArray[np.float32], device: torch.device) -> nn.Module:
    """The task's module with ``model`` (dim,) in it, on ``device``."""
    module = build(task, seed=0)
    load_flat(module, model)
    return module.to(device)


def tensors(module: nn.Module) -> list[torch.Tensor]:
    """What the flat vector holds, in its order."""
    return [tensor for _, tensor in _tensors(module)]


def penultimate(module: nn.Module, layer: str, x: torch.Tensor) -> torch.Tensor:
    """What enters ``layer``, the output layer, when the module sees a batch ``x``: (N, h)."""
    entered = _watch(module, layer, x).entered
    if entered is None:
        raise ConfigError(f"output layer {layer}: the forward pass does not use it")
    return entered


def _tensors(module: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    kept = module.state_dict(keep_vars=True).keys()
    yield from module.named_parameters()
    for name, buffer in module.named_buffers():
        # a buffer outside the state dict is a constant that the module computes by itself
        if name in kept and buffer.is_floating_point():
            yield name, buffer


@dataclass(frozen=True)
class _Seen:
    """One forward pass: the module's outputs, and what entered and left a layer in it."""

    outputs: torch.Tensor
    entered: torch.Tensor | None = None
    left: torch.Tensor | None = None


def _watch(module: nn.Module, layer: str | None, x: torch.Tensor) -> _Seen:
    """``entered`` and ``left`` are None where the pass does not use ``layer``; its last use
    counts."""
    if layer is None:
        return _Seen(module(x))
    uses: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda _layer, inputs, output: uses.append((inputs[0], output))
    )
    try:
        outputs = module(x)
    finally:
        hook.remove()
    return _Seen(outputs, *uses[-1]) if uses else _Seen(outputs)


def _try(task: Task, module: nn.Module) -> str | None:
    """Run ``module`` on zeros; the name of its output layer, where it has one."""
    name = _candidate(task, module)
    x = torch.zeros(_PROBE, *task.input_shape)
    shown = f"{task}: samples of shape {tuple(x.shape)}"
    with in_own_code(f"{shown}: a pass through module and loss"), torch.no_grad():
        seen = _watch(module.eval(), name, x)
        y = torch.zeros(_PROBE, dtype=torch.int64)
        loss: object = task.loss(
            seen.outputs, torch.zeros_like(seen.outputs) if task.classes is None else y
        )
    outputs, wanted = seen.outputs, (_PROBE, task.classes)
    if task.classes is not None and outputs.shape != wanted:
        raise ConfigError(
            f"{shown} give outputs {tuple(outputs.shape)}, but {task.classes} classes ask for"
            f" {wanted}: a number per sample and class"
        )
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        raise ConfigError(f"{task}: loss() must return one number, the mean over the batch")
    fits = seen.entered is not None and seen.entered.ndim == 2
    if task.output_layer is None:
        return name if fits and seen.left is not None and _gives(seen.left, outputs) else None
    if not fits:
        raise ConfigError(f"{task}: output layer {name!r} must be given (samples, features)")
    return name


def _candidate(task: Task, module: nn.Module) -> str | None:
    """The layer that the task names, or the last linear one with an output per class."""
    layers = dict(module.named_modules())
    linear = {name: layer for name, layer in layers.items() if isinstance(layer, nn.Linear)}
    if task.output_layer is None:
        fits = [name for name, layer in linear.items() if layer.out_features == task.classes]
        return fits[-1] if fits else None
    layer = linear.get(task.output_layer)
    if layer is None or layer.out_features != task.classes:
        raise ConfigError(
            f"{task}: output layer {task.output_layer!r} must name a Linear with {task.classes}"
            f" outputs, one per class; linear layers here: {', '.join(linear) or 'none'}"
        )
    return task.output_layer


def _gives(left: torch.Tensor, outputs: torch.Tensor) -> bool:
    """Whether ``outputs`` are the layer's own or their logarithmic softmax, which is one number
    less for all classes of a sample."""
    if left.shape != outputs.shape:
        return False
    apart = outputs - left
    return bool((apart - apart.mean(dim=1, keepdim=True)).abs().max() < _SAME)


def _shape(slices: Iterable[ParameterSlice], name: str | None) -> OutputShape | None:
    if name is None:
        return None
    at = {piece.name: piece for piece in slices}
    weight, bias = at.get(f"{name}.weight"), at.get(f"{name}.bias")
    if weight is None:  # tied to another layer's, under whose name it travels
        return None
    classes, hidden = weight.shape
    follows = bias is not None and bias.offset == weight.stop
    return OutputShape(weight.offset, classes, hidden, follows)
