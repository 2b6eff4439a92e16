"""Measuring: the three figures, class means, of a server and of a client."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from auror.errors import DataError
from auror.learn.architectures import Mlp
from auror.learn.attacks import LabelFlip
from auror.learn.evaluate import (
    Evaluation,
    _forward,
    class_means,
    evaluate,
    predict,
    reference_means,
)
from auror.learn.models import build, flatten, penultimate

CPU = torch.device("cpu")
SPEC = Mlp((1, 2, 2), 3, hidden=4)
COPY = np.zeros(SPEC.layout.dim, dtype=np.float32)
"""A model that copies pixels 0, 1, 2 to the logits: the prediction is the brightest one."""
COPY[:16] = np.eye(4).ravel()
COPY[20:32] = np.eye(3, 4).ravel()


def images(brightest: list[int]) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[brightest].reshape(-1, 1, 2, 2)


def test_the_three_figures_are_counted_over_their_own_samples() -> None:
    x = images([0, 0, 1, 2, 1, 1, 2, 2])
    y = np.array([0, 0, 0, 0, 1, 1, 2, 1])
    result = evaluate(SPEC, COPY, x, y, attack=LabelFlip(0, 1), device=CPU)
    assert result == Evaluation(accuracy=5 / 8, source_recall=2 / 4, attack_success=1 / 4)


def test_without_an_attack_only_accuracy_is_told() -> None:
    result = evaluate(SPEC, COPY, images([0, 1]), np.array([0, 2]), attack=None, device=CPU)
    assert result == Evaluation(0.5, None, None)


def test_nothing_to_measure_on_is_refused() -> None:
    with pytest.raises(DataError, match="class 2"):
        evaluate(SPEC, COPY, images([0]), np.array([0]), attack=LabelFlip(2, 1), device=CPU)
    with pytest.raises(DataError, match="no samples"):
        evaluate(SPEC, COPY, images([]), np.array([], np.int64), attack=None, device=CPU)


def test_large_sets_are_predicted_in_order() -> None:
    brightest = np.random.default_rng(1).integers(0, 3, 10_000)
    np.testing.assert_array_equal(predict(SPEC, COPY, images(list(brightest)), CPU), brightest)


def test_class_means_average_each_class() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((9, 1, 2, 2), dtype=np.float32)
    y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 1])
    model = flatten(build(SPEC, 1))
    activations = penultimate(build(SPEC, 1), "output", torch.from_numpy(x)).detach().numpy()
    means = class_means(SPEC, model, x, y, CPU)
    assert means.shape == (3, 4)
    np.testing.assert_allclose(means[1], activations[[1, 4, 7, 8]].mean(axis=0), rtol=1e-5)
    with pytest.raises(DataError, match="class 2"):
        class_means(SPEC, model, x[:2], y[:2], CPU)


def test_own_code_that_writes_into_its_input_changes_no_sample() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sub_(1.0).flatten(1)

    x = np.random.default_rng(0).random((5, 1, 2, 2), dtype=np.float32)
    kept = x.copy()
    found = [_forward(InPlace(), x, CPU, lambda module, part: module(part)) for _ in range(2)]
    np.testing.assert_array_equal(x, kept)
    assert torch.equal(*found)


def test_a_client_finds_what_the_signed_samples_look_like_and_where_its_output_layer_is() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((9, 1, 2, 2), dtype=np.float32), np.array([0, 2, 2, 0, 2, 0, 2, 0, 1])
    model = flatten(build(SPEC, 1))
    found = reference_means(SPEC, model, (x, y), CPU)
    assert found is not None
    np.testing.assert_array_equal(found.means, class_means(SPEC, model, x, y, CPU))
    unsigned = reference_means(SPEC, model, None, CPU)
    assert unsigned is not None
    assert unsigned.means is None
    weights = SPEC.layout.need_output().weights(model)
    np.testing.assert_array_equal(unsigned.output.weights(model), weights)
    np.testing.assert_array_equal(weights, build(SPEC, 1).output.weight.detach().numpy())
