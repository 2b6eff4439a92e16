"""A model that imprints training images into its own update, as a lying server could send it.

Fowl et al. 2022, "Robbing the Fed" (arXiv:2110.13057), carried over to sums of many clients as in
Zhao et al. 2024, LOKI (arXiv:2303.12233): every hidden unit measures the brightness of an image and
is active above a threshold of its own; all units feed the outputs alike, so the images above both
of two neighbouring thresholds change both units alike. What differs is due to the images between
them: with one image there, the change of the weights over the change of the bias is that image.

Needs an mlp: a convolution sees patches only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.learn.architectures import Mlp
from auror.learn.standardisation import Standardisation
from auror.learn.task import Task

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RECOVERED_DB = 30.0
"""PSNR from which on an image counts as recovered; a wrong guess of MNIST reaches about 15 dB."""
_ALWAYS_ON = 10.0
"""The last unit's activation for every image, over the steepness; it feeds no output. It makes the
mean activations of all classes alike, so clients who compare them with their own find nothing."""


@dataclass(frozen=True, slots=True)
class Imprint:
    """How the model is made; what each is good for was found by trying."""

    crowd: float = 1.0
    """Images expected between two thresholds. One is best for one step on all data; while a client
    takes many steps its thresholds drift, and more spread the same images thinner."""
    gain: float = 4.0
    """Size of the output weights: larger ones lift the images above rounding, too large ones leave
    the range of quantisation."""
    steepness: float = 0.01
    """Scale of the hidden layer: small, so that no image decides the outputs."""
    quantile: float = 0.5
    """Of the brightness of images: where the thresholds lie."""


def imprint_model(task: Task, public: Floats, images: int, how: Imprint) -> Floats:
    """The crafted model (d,).

    Args:
        public: (N, C, H, W), samples of the server's own: their brightness is what it expects.
        images: how many images are in the total.

    Raises:
        ConfigError: a model without one dense hidden layer.
    """
    spec, where = _imprintable(task)
    brightness = public.reshape(len(public), -1).mean(axis=1).astype(np.float64)
    middle, near = np.quantile(brightness, how.quantile), 0.2 * brightness.std()
    density = np.mean(np.abs(brightness - middle) < near) / (2 * near)
    steps = np.arange(spec.hidden - 1) - (spec.hidden - 2) / 2
    thresholds = middle + how.crowd / (images * density) * steps
    model = np.zeros(spec.layout.dim, dtype=np.float32)
    model[where[0]][: -spec.inputs] = how.steepness / spec.inputs
    model[where[1]] = how.steepness * np.append(-thresholds, _ALWAYS_ON)
    signs = np.where(np.arange(spec.classes) % 2 == 0, how.gain, -how.gain)
    model[where[2]] = np.outer(signs, np.arange(spec.hidden) < spec.hidden - 1).reshape(-1)
    return model


def read_images(task: Task, update: Doubles) -> Doubles:
    """One image for every two neighbouring thresholds, (hidden − 2, C·H·W), standardised.

    ``update`` (d,): sum or mean of the updates.
    """
    spec, where = _imprintable(task)
    weights = update[where[0]].reshape(spec.hidden, -1)[:-1]
    apart = np.diff(update[where[1]][:-1])[:, None]
    seen: Doubles = np.diff(weights, axis=0) / np.where(apart == 0, 1, apart)
    return seen


def matches(
    seen: Doubles, images: Floats, pixels: Standardisation
) -> tuple[Doubles, NDArray[np.intp]]:
    """PSNR (dB, pixels in [0, 1]) of each image seen to the nearest true one, and which it is.

    Args:
        seen: (S, D), standardised. images: (N, ...), standardised.
        pixels: how raw pixels were standardised.
    """
    guess = np.clip(_raw(seen, pixels), 0, 1)
    true = _raw(images.reshape(len(images), -1).astype(np.float64), pixels)
    squares = (guess**2).sum(axis=1)[:, None] + (true**2).sum(axis=1) - 2 * guess @ true.T
    error = np.maximum(squares / true.shape[1], 1e-12)
    psnr: Doubles = -10 * np.log10(error.min(axis=1))
    return psnr, error.argmin(axis=1)


def _raw(standardised: Doubles, pixels: Standardisation) -> Doubles:
    return pixels.undo(standardised) / pixels.scale


def _imprintable(task: Task) -> tuple[Mlp, tuple[slice, slice, slice]]:
    """Its hidden weights, hidden biases and output weights."""
    if not isinstance(task, Mlp):
        raise ConfigError(f"an imprint needs one dense hidden layer, as mlp has, not {task}")
    first, bias, output, _ = (slice(p.offset, p.stop) for p in task.layout.slices)
    return task, (first, bias, output)
