"""The softmax layer of a load test: really trained, and an attack on it can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from auror.deployment.synthetic_task import SyntheticTask

TASK = SyntheticTask.sized(1000, 10)


def test_the_text_says_what_it_is() -> None:
    assert SyntheticTask.of(TASK.to_bytes()) == TASK
    assert SyntheticTask.sized(7, 0).to_bytes() == b'{"synthetic":7}'
    assert SyntheticTask.of(b'{"model": {}}') is None
    assert SyntheticTask.of(b"no task") is None
    assert SyntheticTask.of(b"[1]") is None
    with pytest.raises(ValueError, match="10 classes need 30 entries"):
        SyntheticTask.sized(29, 10)


def test_the_layer_lies_within_the_model() -> None:
    for dim in (30, 31, 170, 10_000):
        output = SyntheticTask.sized(dim, 10).output
        assert output is not None
        assert output.offset + output.entries <= dim


def test_clients_and_server_see_the_same_classes() -> None:
    clean = TASK.clean_means()
    assert clean is not None
    assert np.array_equal(clean, SyntheticTask.of(TASK.to_bytes()).clean_means())
    x, y = TASK.samples(3, 400)
    own = np.stack([x[y == label].mean(axis=0) for label in range(TASK.classes)])
    alike = (
        np.sum(clean * own, axis=1) / np.linalg.norm(clean, axis=1) / np.linalg.norm(own, axis=1)
    )
    assert alike.min() > 0.9
    assert SyntheticTask.sized(30, 0).clean_means() is None


def test_training_learns_and_relabelling_moves_its_own_rows() -> None:
    model = np.zeros(1000, dtype=np.float32)
    x, y = TASK.samples(3, 400)
    entries = TASK.classes * (TASK.hidden + 1)
    honest = TASK.trained(model, x, y, 5, 0.5)
    assert honest.shape == (entries,)
    moved = model.copy()
    moved[:entries] += honest
    test_x, test_y = TASK.samples(9, 500)
    assert (TASK.logits(moved, test_x).argmax(axis=1) == test_y).mean() > 0.6
    lying = TASK.trained(model, x, np.where(y == 4, 9, y), 5, 0.5)
    rows = np.abs((lying - honest)[: TASK.classes * TASK.hidden].reshape(10, -1)).sum(axis=1)
    assert set(np.argsort(rows)[-2:]) == {4, 9}
