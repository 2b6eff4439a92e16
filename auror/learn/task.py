"""What is trained, as its author writes it (docs/own-task.md)."""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from auror.errors import ConfigError
from auror.learn.models import Layout, layout_of
from auror.learn.samples import SampleSpec
from auror.learn.standardisation import RAW, Standardisation
from auror.learn.training import TrainingParams

Array = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class ServerData:
    """The server's own samples in raw units: x (N, *input_shape), y (N,) or (N, …).

    ``test_x``, ``test_y`` measure every model. ``clean_x``, ``clean_y``: a few samples of every
    class that no client has, which show what the classes look like; leave them out where there are
    none.
    """

    test_x: Array
    test_y: Array
    clean_x: Array | None = None
    clean_y: Array | None = None


class Task(abc.ABC):
    """A torch module with its loss and metrics, and what its samples are.

    Name it ``--task package.module:name``, where ``name`` is an instance or a class without
    arguments. Server and clients each import it from their own machine; its source, its shapes and
    what stands below are hashed into the signed policy.

    Attributes:
        input_shape: of one sample: (C, H, W) of images, (F,) of rows, or any other.
        classes: number of labels; None where targets are no labels. Without labels nobody is
            looked for who mislabels.
        standardisation: from raw samples to inputs; applied by whoever loads the data.
        class_names: in their order, where samples name their class (folders, words in a table).
        feature_names: columns of a table, in their order.
        training: how clients train; ``--epochs`` and its like change single values.
        output_layer: name of the Linear with a row per class. None: it is found, as the last such
            layer in module order, if its outputs are the module's.
        vectorised: outputs of a sample do not depend on the others of its batch, and ``forward``
            works under ``torch.func.vmap``: a simulation may train all clients at once.
    """

    input_shape: tuple[int, ...]
    classes: int | None = None
    standardisation: Standardisation = RAW
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    training: TrainingParams = TrainingParams()
    output_layer: str | None = None
    vectorised: bool = False

    @abc.abstractmethod
    def build(self) -> nn.Module:
        """A new module with float32 parameters, initialised from torch's global generator, which
        the caller seeds."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over a batch, a tensor without axes, from the module's outputs.

        ``targets``: (N,) int64 labels, or float32 (N, …) where ``classes`` is None. By default
        cross-entropy, or the mean squared error.
        """
        if self.classes is None:
            return functional.mse_loss(outputs.reshape(targets.shape), targets)
        return functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> Mapping[str, float]:
        """Numbers by name, from the outputs for all test samples. By default ``accuracy``, or
        ``loss``. ``accuracy`` is shown in tables and figures, others are printed and kept."""
        if self.classes is None:
            return {"loss": float(self.loss(outputs, targets))}
        return {"accuracy": float((outputs.argmax(1) == targets).double().mean())}

    def client_data(self, path: Path | None, client: int) -> tuple[Array, Array] | None:
        """Samples x (N, *input_shape) in raw units and targets y of one client.

        ``path``: what ``data.path`` of the client names, or ``--data`` of a simulation. None: Auror
        reads that path itself (npz, CSV, image folder), or the named data set.
        """
        return None

    def server_data(self, path: Path | None) -> ServerData | None:
        """The server's own samples; ``path``: what ``learning.data`` or ``--data`` names. None:
        Auror reads them itself."""
        return None

    @functools.cached_property
    def layout(self) -> Layout:
        """The flat vector's map; the module is tried once on zeros.

        Raises:
            ConfigError: the module, loss or shapes cannot be used.
        """
        self.check()
        return layout_of(self)

    def check(self) -> None:
        """Raises ConfigError where an attribute cannot be used."""
        shape: object = getattr(self, "input_shape", None)
        if not isinstance(shape, tuple) or not shape or not all(_whole(side, 1) for side in shape):
            raise ConfigError(
                f"{self}: input_shape must be the shape of one sample, such as (2, 16, 16) or"
                f" (12,), not {shape!r}"
            )
        classes: object = self.classes
        if classes is not None and not _whole(classes, 2):
            raise ConfigError(f"{self}: classes must be 2 or more, or None, not {classes!r}")
        try:
            self.samples  # noqa: B018 - as many names as classes and features
        except (ConfigError, TypeError) as error:
            raise ConfigError(f"{self}: class_names or feature_names: {error}") from error
        for name, kind in (("standardisation", Standardisation), ("training", TrainingParams)):
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"{self}: {name} must be a {kind.__name__}")
        if self.output_layer is not None and classes is None:
            raise ConfigError(f"{self}: an output layer has a row per class: give classes too")

    @property
    def together(self) -> bool:
        """Whether clients may be trained at once: batches are padded with samples of weight 0, so
        the loss must be the usual one, and nothing but SGD may move a tensor."""
        usual = type(self).loss is Task.loss and self.classes is not None
        return self.vectorised and usual and all(piece.trained for piece in self.layout.slices)

    @property
    def reference(self) -> str:
        """What ``--task`` names it by; "" for an object that nobody named."""
        return str(self.__dict__.get("_reference", ""))

    @property
    def samples(self) -> SampleSpec:
        """What everybody's samples must look like."""
        return SampleSpec(
            self.input_shape,
            self.classes,
            self.class_names,
            self.feature_names,
            self.standardisation,
        )

    @property
    def inputs(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.input_shape)

    def __str__(self) -> str:
        return f"task {self.reference or type(self).__name__}"


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
