from __future__ import annotations

import numpy as np
import pytest
import torch

from auror.errors import ConfigError
from auror.learn.architectures import Cnn, Mlp
from auror.learn.datasets import load_dataset
from auror.learn.imprint import RECOVERED_DB, Imprint, imprint_model, matches, read_images
from auror.learn.training import TrainingParams, train_client

ONE_STEP = TrainingParams(epochs=1, batch_size=10_000)


def test_one_step_of_an_imprint_model_shows_training_images_and_of_an_honest_one_none() -> None:
    data = load_dataset("digits", seed=1)
    spec = Mlp(data.input_shape, data.classes)
    x, y = data.train_x[:200], data.train_y[:200]
    crafted = imprint_model(spec, data.test_x, len(x), Imprint(gain=1.0))
    honest = crafted.copy()
    np.random.default_rng(1).shuffle(honest)
    seen = {}
    for name, model in (("crafted", crafted), ("honest", honest)):
        update = train_client(
            spec, model, x, y, params=ONE_STEP, seed=1, device=torch.device("cpu")
        )
        psnr, nearest = matches(
            read_images(spec, update.astype(np.float64)), x, data.standardisation
        )
        seen[name] = len(set(nearest[psnr >= RECOVERED_DB]))
    assert seen["crafted"] >= 5
    assert seen["honest"] == 0


def test_an_image_matches_itself_and_a_mixture_does_not() -> None:
    data = load_dataset("digits", seed=1)
    x = data.train_x[:30]
    flat = x.reshape(30, -1).astype(np.float64)
    psnr, nearest = matches(np.stack([flat[3], flat[:9].mean(axis=0)]), x, data.standardisation)
    assert psnr[0] > 60
    assert nearest[0] == 3
    assert psnr[1] < RECOVERED_DB


def test_a_convolution_takes_no_imprint() -> None:
    spec = Cnn((1, 8, 8), 10)
    with pytest.raises(ConfigError, match="dense hidden layer"):
        imprint_model(spec, np.zeros((4, 1, 8, 8), np.float32), 10, Imprint())
