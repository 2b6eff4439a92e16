"""The two trained models, and the flat float32 vector in which they travel.

A model is shipped, masked, summed and stored as one vector: its parameters in the order of
``Module.named_parameters()``, each row-major, concatenated. ``Layout`` says what lies where;
the statistics plan needs to know where the output layer's weights are.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from auror.errors import ConfigError, DataError
from auror.round.output import OutputShape

ModelKind = Literal["mlp", "cnn"]
MODEL_KINDS: tuple[ModelKind, ...] = ("mlp", "cnn")

_CNN_CHANNELS = (6, 16)  # LeCun et al. 1998, figure 2: C1 and C3
_CNN_DENSE = 120  # C5
_CNN_SMALLEST = 4  # two halvings must leave at least one pixel


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides a model's shape.

    Attributes:
        kind: ``mlp`` (one hidden layer) or ``cnn`` (LeNet-style).
        input_shape: channels, height, width of one sample.
        classes: number of labels, at least 2.
        hidden: width of the penultimate layer (64 for the MLP of the measurements).
    """

    kind: ModelKind
    input_shape: tuple[int, int, int]
    classes: int
    hidden: int = 64

    def __post_init__(self) -> None:
        if self.kind not in MODEL_KINDS:
            raise ConfigError(f"unknown model {self.kind!r}; choose one of: mlp, cnn")
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise ConfigError(
                f"input_shape must be (channels, height, width), all >= 1, not {self.input_shape}"
            )
        if self.classes < 2:
            raise ConfigError(f"a model needs at least 2 classes, not {self.classes}")
        if self.hidden < 1:
            raise ConfigError(f"hidden must be at least 1, not {self.hidden}")
        if self.kind == "cnn" and min(self.input_shape[1:]) < _CNN_SMALLEST:
            raise ConfigError(
                f"the cnn needs images of at least {_CNN_SMALLEST}x{_CNN_SMALLEST} pixels, not "
                f"{self.input_shape[1]}x{self.input_shape[2]}; use the mlp"
            )


class Network(nn.Module):
    """``features`` maps a batch (N, C, H, W) to penultimate activations (N, h); ``output``,
    linear, maps those to logits (N, classes)."""

    def __init__(self, features: nn.Sequential, output: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.features(x))
        return logits


@dataclass(frozen=True, slots=True)
class ParameterSlice:
    """Where one named parameter lies in the flat vector."""

    name: str
    offset: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """The flat vector's map: ``dim`` entries, all of them covered by ``slices`` in order.

    The output layer's weight is the ``output_classes`` x ``output_hidden`` row-major block
    that starts at ``output_offset``; row c holds the weights of class c.
    """

    dim: int
    slices: tuple[ParameterSlice, ...]
    output_offset: int
    output_classes: int
    output_hidden: int

    def output_weight(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output layer's weight in ``vector`` (..., dim), as a view (..., C, h)."""
        stop = self.output_offset + self.output_classes * self.output_hidden
        block = vector[..., self.output_offset : stop]
        return block.reshape(*vector.shape[:-1], self.output_classes, self.output_hidden)


def build(spec: ModelSpec, seed: int) -> Network:
    """A freshly initialised model on the CPU; equal seeds give equal bits.

    The global torch generator is left as it was found.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _network(spec)


@functools.lru_cache(maxsize=32)
def layout(spec: ModelSpec) -> Layout:
    """The map of ``spec``'s flat vector."""
    slices = []
    offset = 0
    with torch.device("meta"):
        parameters = list(_network(spec).named_parameters())
    for name, parameter in parameters:
        piece = ParameterSlice(name, offset, tuple(parameter.shape))
        slices.append(piece)
        offset = piece.stop
    output = next(piece for piece in slices if piece.name == "output.weight")
    return Layout(offset, tuple(slices), output.offset, output.shape[0], output.shape[1])


def output_shape(spec: ModelSpec) -> OutputShape:
    """Where ``spec``'s output layer lies in the flat vector."""
    found = layout(spec)
    return OutputShape(found.output_offset, found.output_classes, found.output_hidden)


def flatten(module: nn.Module) -> NDArray[np.float32]:
    """The module's parameters as one float32 vector (dim,), a copy."""
    with torch.no_grad():
        flat = torch.cat([parameter.reshape(-1) for parameter in module.parameters()])
    vector: NDArray[np.float32] = flat.to("cpu", torch.float32).numpy()
    return vector


def load_flat(module: nn.Module, vector: NDArray[np.float32]) -> None:
    """Write ``vector`` (dim,) into the module's parameters, on whichever device they are.

    Raises:
        DataError: the vector has another length than the model, or entries that are not finite.
    """
    dim = sum(parameter.numel() for parameter in module.parameters())
    if vector.shape != (dim,):
        raise DataError(f"this model has {dim} entries, the vector has shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise DataError("the model vector holds entries that are not finite")
    offset = 0
    with torch.no_grad():
        for parameter in module.parameters():
            piece = vector[offset : offset + parameter.numel()]
            parameter.copy_(torch.tensor(piece, dtype=torch.float32).view_as(parameter))
            offset += parameter.numel()


def penultimate(module: Network, x: torch.Tensor) -> torch.Tensor:
    """Penultimate-layer activations (N, h) of a batch (N, C, H, W)."""
    activations: torch.Tensor = module.features(x)
    return activations


def _network(spec: ModelSpec) -> Network:
    output = nn.Linear(spec.hidden, spec.classes)
    if spec.kind == "mlp":
        hidden = nn.Linear(math.prod(spec.input_shape), spec.hidden)
        return Network(nn.Sequential(nn.Flatten(), hidden, nn.ReLU()), output)
    channels, height, width = spec.input_shape
    first, second = _CNN_CHANNELS
    # Average pooling as in LeNet; its gradient is also deterministic on CUDA.
    features = nn.Sequential(
        nn.Conv2d(channels, first, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(first, second, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), _CNN_DENSE),
        nn.ReLU(),
        nn.Linear(_CNN_DENSE, spec.hidden),
        nn.ReLU(),
    )
    for layer in features:
        # He et al. 2015: with torch's default the signal fades over four ReLUs, and the few
        # dozen local steps of a run are spent on a plateau.
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return Network(features, output)
