"""What a model does: its metrics, what the attack achieved, and what its classes look like."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from auror.errors import ConfigError, DataError
from auror.learn.attack import Attack
from auror.learn.models import loaded, penultimate
from auror.learn.task import Task
from auror.learn.training import Floats, Labels, Targets, repeatable_cudnn
from auror.registry import in_own_code
from auror.round.label_rows import ClassMeans

_TAKEN = frozenset(("run", "round", "era", "record", "source_recall", "attack_success"))
_CHUNK = 4096  # samples per forward pass; bounds memory on the 10,000 samples of mnist


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Numbers on test samples.

    Attributes:
        accuracy: labelled correctly, of all, in [0, 1]; None where the task measures none.
        source_recall: labelled correctly, of the class that the attack aims at; None without one.
        attack_success: labelled as the target class: of the class that the attack aims at, or of
            all others, with its trigger where it has one; None for attacks without a target. A
            clean model makes those mistakes too: compare with its run.
        more: what else the task measures, by name.
    """

    accuracy: float | None
    source_recall: float | None
    attack_success: float | None
    more: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, float | None]:
        """All of it by name."""
        return {
            "accuracy": self.accuracy,
            "source_recall": self.source_recall,
            "attack_success": self.attack_success,
            **self.more,
        }


def evaluate(
    task: Task,
    model: Floats,
    x: Floats,
    y: Targets,
    *,
    attack: Attack | None,
    device: torch.device,
) -> Evaluation:
    """Measure ``model`` (dim,) on ``x`` (N, *input_shape), ``y`` (N,); see ``Evaluation``.

    Raises:
        DataError: no samples, or none of the attack's source class.
        ConfigError: the task's metrics failed or are no numbers.
    """
    if not len(y):
        raise DataError("cannot evaluate on no samples")
    outputs = _outputs(task, model, x, device)
    more = _metrics(task, outputs, y)
    accuracy = more.pop("accuracy", None)
    aim = None if attack is None else attack.aim
    if aim is None:
        return Evaluation(accuracy, None, None, more)
    aimed_at = y != aim.target if aim.source is None else y == aim.source
    if not aimed_at.any():
        wanted = f"class {aim.source}" if aim.source is not None else f"not class {aim.target}"
        raise DataError(f"the test data has no sample of {wanted}")
    predicted = outputs.argmax(1).numpy()[aimed_at]
    recall = None if aim.source is None else float(np.mean(predicted == aim.source))
    if aim.trigger is not None:
        with in_own_code(f"attack {str(attack)!r}: trigger"):
            marked = np.asarray(aim.trigger(x[aimed_at]), np.float32)
        if marked.shape != x[aimed_at].shape:
            raise ConfigError(
                f"attack {str(attack)!r}: trigger made samples {marked.shape} of"
                f" {x[aimed_at].shape}: keep their shape"
            )
        predicted = predict(task, model, marked, device)
    success = float(np.mean(predicted == aim.target))
    return Evaluation(accuracy, recall, success, more)


def try_metrics(task: Task, model: Floats, x: Floats, y: Targets, device: torch.device) -> None:
    """Measure random outputs for all of ``y`` (N,), of the shape that two of ``x`` get: what would
    fail after the first round fails now, and nobody has trained in vain.

    Raises:
        ConfigError: the task's metrics failed or are no numbers.
    """
    if len(y):
        shape = _outputs(task, model, x[:2], device).shape[1:]
        drawn = torch.randn(len(y), *shape, generator=torch.Generator().manual_seed(0))
        _metrics(task, drawn, y)


def predict(task: Task, model: Floats, x: Floats, device: torch.device) -> Labels:
    """The most likely class of every sample, (N,) int64."""
    predicted: Labels = _outputs(task, model, x, device).argmax(1).numpy()
    return predicted


def class_means(task: Task, model: Floats, x: Floats, y: Labels, device: torch.device) -> Floats:
    """Mean penultimate activations (C, h) of clean samples, a row per class.

    Raises:
        DataError: a class has no clean sample. ConfigError: the model has no output layer.
    """
    classes = task.layout.need_output().classes
    missing = sorted(set(range(classes)) - set(np.unique(y).tolist()))
    if missing:
        raise DataError(f"no clean sample of class {missing[0]}; give the server some of each")
    with in_own_code(f"{task}: forward"):
        activations = _activations(task, loaded(task, model, device), x, device)
    return np.stack([activations[y == label].mean(axis=0) for label in range(classes)])


def reference_means(
    task: Task, model: Floats, clean: tuple[Floats, Labels] | None, device: torch.device
) -> ClassMeans | None:
    """What a client finds that the signed ``clean`` samples look like under ``model``; None where
    the model has no output layer. Arguments and errors as in ``class_means``."""
    output = task.layout.output
    if output is None:
        return None
    return ClassMeans(output, None if clean is None else class_means(task, model, *clean, device))


def _metrics(task: Task, outputs: torch.Tensor, y: Targets) -> dict[str, float]:
    with in_own_code(f"{task}: metrics()"):
        found = dict(task.metrics(outputs, torch.as_tensor(y)))
        numbers = {_checked(name): float(value) for name, value in found.items()}
    # A model that diverged has no mean error; reports hold no infinities.
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _checked(name: object) -> str:
    """Names go into tables, JSON lines and file names."""
    if not isinstance(name, str) or not name.isidentifier() or name in _TAKEN:
        raise ValueError(f"{name!r} cannot be a metric's name: choose another word")
    return name


def _outputs(task: Task, model: Floats, x: Floats, device: torch.device) -> torch.Tensor:
    """The module's outputs for all of ``x``, (N, …), on the CPU."""
    return _forward(loaded(task, model, device), x, device, lambda module, part: module(part))


def _activations(task: Task, module: nn.Module, x: Floats, device: torch.device) -> Floats:
    """Penultimate, (N, h)."""
    name = task.layout.output_name
    if name is None:
        raise ConfigError(f"{task}: the module has no output layer with a row per class")
    layer: str = name
    found: Floats = _forward(
        module, x, device, lambda module, part: penultimate(module, layer, part)
    ).numpy()
    return found


def _forward(
    module: nn.Module,
    x: Floats,
    device: torch.device,
    pass_: Callable[[nn.Module, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    module.eval()
    with repeatable_cudnn(), torch.inference_mode():
        return torch.cat(
            [
                # a copy: own code that writes into its input must not change the samples
                pass_(module, torch.tensor(x[start : start + _CHUNK], device=device)).cpu()
                for start in range(0, len(x), _CHUNK)
            ]
        )
