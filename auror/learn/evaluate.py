"""What a model does: accuracy, what the attack achieved, and what its classes look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError
from auror.learn.attacks import Attack, Backdoor, payload_of
from auror.learn.models import ModelSpec, Network, build, layout, load_flat, penultimate

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_CHUNK = 4096  # samples per forward pass; bounds memory on the 10,000 samples of mnist


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All three are fractions in [0, 1] of test samples.

    Attributes:
        accuracy: labelled correctly, of all.
        source_recall: labelled correctly, of a label flip's source class; None without one.
        attack_success: labelled as the target class: of the source class of a label flip, of
            the samples of other classes with the trigger of a backdoor; None for attacks
            without a target. A clean model makes those mistakes too: compare with its run.
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
    payload = payload_of(attack)
    if payload is None:
        return Evaluation(accuracy, None, None)
    if isinstance(payload, Backdoor):
        others = y != payload.target
        triggered = predict(spec, model, Backdoor.stamp(x[others]), device)
        return Evaluation(accuracy, None, float(np.mean(triggered == payload.target)))
    source = predicted[y == payload.source]
    if not len(source):
        raise DataError(f"the test data has no sample of class {payload.source}")
    return Evaluation(
        accuracy,
        source_recall=float(np.mean(source == payload.source)),
        attack_success=float(np.mean(source == payload.target)),
    )


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
    """Mean penultimate activations (C, h) of clean samples, a row per class (DESIGN section 5).

    Raises:
        DataError: a class has no clean sample.
    """
    missing = sorted(set(range(spec.classes)) - set(np.unique(y).tolist()))
    if missing:
        raise DataError(f"no clean sample of class {missing[0]}; give the server some of each")
    module = _load(spec, model, device)
    with torch.inference_mode():
        activations = penultimate(module, torch.as_tensor(x, device=device)).cpu().numpy()
    return np.stack([activations[y == label].mean(axis=0) for label in range(spec.classes)])


def centred_output_weights(spec: ModelSpec, model: Floats) -> Floats:
    """The output layer's weights (C, h) less their mean over classes.

    They stand in for ``class_means`` at a server that has no clean samples.
    """
    weight = layout(spec).output_weight(model)
    centred: Floats = weight - weight.mean(axis=0)
    return centred


def confusion_basis(means: Floats, ridge: float = 0.1) -> NDArray[np.float64]:
    """The ridge dual basis D = (M Mᵀ + λI)⁻¹ M of ``means`` M (C, h), float64 (C, h).

    With ΔW (C, h) a change of the output layer's weights, ΔW Dᵀ (C, C) reads "how many samples
    that look like class b were labelled a" (DESIGN section 5, label confusion).

    Args:
        means: ``class_means`` or ``centred_output_weights``.
        ridge: λ in units of the mean squared row norm of M, so that it does not depend on
            how large activations are; at least 0.

    Raises:
        ConfigError: negative ridge. DataError: M is zero or not finite.
    """
    if ridge < 0:
        raise ConfigError(f"ridge must be 0 or more, not {ridge:g}")
    m = means.astype(np.float64)
    gram = m @ m.T
    scale = float(np.trace(gram)) / len(m)
    if not np.isfinite(scale) or scale <= 0:
        raise DataError("class means are all zero or not finite; the model has collapsed")
    regularised = gram + ridge * scale * np.eye(len(m))
    return np.linalg.solve(regularised, m).astype(np.float64, copy=False)


def _load(spec: ModelSpec, model: Floats, device: torch.device) -> Network:
    module = build(spec, seed=0)
    load_flat(module, model)
    return module.to(device).eval()
