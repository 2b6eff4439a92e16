"""Measuring: the three figures, class means, and what the label-confusion basis reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auror.errors import ConfigError, DataError
from auror.learn.attacks import LabelFlip
from auror.learn.evaluate import (
    Evaluation,
    centred_output_weights,
    class_means,
    confusion_basis,
    evaluate,
    predict,
)
from auror.learn.models import ModelSpec, build, flatten, layout, penultimate

CPU = torch.device("cpu")
SPEC = ModelSpec("mlp", (1, 2, 2), 3, hidden=4)
COPY = np.zeros(layout(SPEC).dim, dtype=np.float32)
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
    activations = penultimate(build(SPEC, 1), torch.from_numpy(x)).detach().numpy()
    means = class_means(SPEC, model, x, y, CPU)
    assert means.shape == (3, 4)
    np.testing.assert_allclose(means[1], activations[[1, 4, 7, 8]].mean(axis=0), rtol=1e-5)
    with pytest.raises(DataError, match="class 2"):
        class_means(SPEC, model, x[:2], y[:2], CPU)


def test_centred_weights_are_the_output_rows_without_their_mean() -> None:
    model = flatten(build(SPEC, 1))
    weight = layout(SPEC).output_weight(model)
    centred = centred_output_weights(SPEC, model)
    np.testing.assert_allclose(centred.sum(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(centred[0] - centred[2], weight[0] - weight[2], atol=1e-6)


def test_the_basis_reads_which_class_was_labelled_what() -> None:
    """Every sample that looks like b and is labelled a adds M[b] to row a of the change."""
    rng = np.random.default_rng(1)
    means = np.abs(rng.normal(size=(5, 12))).astype(np.float32)
    counts = rng.integers(0, 20, (5, 5))
    moved = counts @ means
    np.testing.assert_allclose(moved @ confusion_basis(means, ridge=0).T, counts, atol=1e-3)
    regularised = moved @ confusion_basis(means, ridge=0.001).T
    np.testing.assert_allclose(regularised, counts, atol=3)


def test_the_ridge_does_not_depend_on_the_scale_of_activations() -> None:
    means = np.random.default_rng(1).random((5, 12)).astype(np.float32)
    np.testing.assert_allclose(confusion_basis(8 * means), confusion_basis(means) / 8, rtol=1e-9)
    m, ridge = means.astype(np.float64), 0.1 * (means.astype(np.float64) ** 2).sum() / 5
    expected = np.linalg.inv(m @ m.T + ridge * np.eye(5)) @ m
    np.testing.assert_allclose(confusion_basis(means, 0.1), expected, rtol=1e-9)


def test_a_basis_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="collapsed"):
        confusion_basis(np.zeros((3, 4), dtype=np.float32))
    with pytest.raises(ConfigError, match="ridge"):
        confusion_basis(np.ones((3, 4), dtype=np.float32), ridge=-1)
