"""What a model does: accuracy, what the attack achieved, and what its classes look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auror.errors import DataError
from auror.learn.attack import Attack
from auror.learn.models import ModelSpec, Network, build, load_flat, output_shape, penultimate
from auror.round.label_rows import ClassMeans

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_CHUNK = 4096  # samples per forward pass; bounds memory on the 10,000 samples of mnist


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All three are fractions in [0, 1] of test samples.

    Attributes:
        accuracy: labelled correctly, of all.
        source_recall: labelled correctly, of the class that the attack aims at; None without one.
        attack_success: labelled as the target class: of the class that the attack aims at, or of
            all others, with its trigger where it has one; None for attacks without a target. A
            clean model makes those mistakes too: compare with its run.
    """

    accuracy: float
    source_recall: float | None
    attack_success: float | None


def evaluate(
    spec: ModelSpec,
    model: Floats,
    x: Floats,
    y: Labels,
    *,
    attack: Attack | None,
    device: torch.device,
) -> Evaluation:
    """Measure ``model`` (dim,) on ``x`` (N, C, H, W), ``y`` (N,); see ``Evaluation``.

    Raises:
        DataError: no samples, or none of the attack's source class.
    """
    if not len(y):
        raise DataError("cannot evaluate on no samples")
    predicted = predict(spec, model, x, device)
    accuracy = float(np.mean(predicted == y))
    aim = None if attack is None else attack.aim
    if aim is None:
        return Evaluation(accuracy, None, None)
    aimed_at = y != aim.target if aim.source is None else y == aim.source
    if not aimed_at.any():
        wanted = f"class {aim.source}" if aim.source is not None else f"not class {aim.target}"
        raise DataError(f"the test data has no sample of {wanted}")
    recall = None if aim.source is None else float(np.mean(predicted[aimed_at] == aim.source))
    if aim.trigger is not None:
        found = predict(spec, model, aim.trigger(x[aimed_at]), device)
    else:
        found = predicted[aimed_at]
    return Evaluation(accuracy, recall, attack_success=float(np.mean(found == aim.target)))


def predict(spec: ModelSpec, model: Floats, x: Floats, device: torch.device) -> Labels:
    """The most likely class of every sample, (N,) int64."""
    module = _load(spec, model, device)
    with torch.inference_mode():
        chunks = [
            module(torch.as_tensor(x[start : start + _CHUNK], device=device)).argmax(1).cpu()
            for start in range(0, len(x), _CHUNK)
        ]
    predicted: Labels = torch.cat(chunks).numpy()
    return predicted


def class_means(
    spec: ModelSpec, model: Floats, x: Floats, y: Labels, device: torch.device
) -> Floats:
    """Mean penultimate activations (C, h) of clean samples, a row per class.

    Raises:
        DataError: a class has no clean sample.
    """
    missing = sorted(set(range(spec.classes)) - set(np.unique(y).tolist()))
    if missing:
        raise DataError(f"no clean sample of class {missing[0]}; give the server some of each")
    activations = _activations(spec, model, x, device)
    return np.stack([activations[y == label].mean(axis=0) for label in range(spec.classes)])


def own_class_means(
    spec: ModelSpec, model: Floats, x: Floats, y: Labels, device: torch.device
) -> ClassMeans:
    """What a client's own samples look like under ``model``; arguments as in ``class_means``."""
    counts = np.bincount(y, minlength=spec.classes)
    activations = _activations(spec, model, x, device)
    means = np.zeros((spec.classes, spec.hidden), dtype=np.float32)
    for label in np.flatnonzero(counts):
        means[label] = activations[y == label].mean(axis=0)
    return ClassMeans(output_shape(spec), means, counts)


def _activations(spec: ModelSpec, model: Floats, x: Floats, device: torch.device) -> Floats:
    """Penultimate, (N, h)."""
    module = _load(spec, model, device)
    with torch.inference_mode():
        chunks = [
            penultimate(module, torch.as_tensor(x[start : start + _CHUNK], device=device)).cpu()
            for start in range(0, len(x), _CHUNK)
        ]
    found: Floats = torch.cat(chunks).numpy()
    return found


def _load(spec: ModelSpec, model: Floats, device: torch.device) -> Network:
    module = build(spec, seed=0)
    load_flat(module, model)
    return module.to(device).eval()
