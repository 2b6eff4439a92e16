"""Local training: both trainers take the same steps, repeatably, and refuse to diverge."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from own_tasks import Rows

from auror.errors import ConfigError, DataError
from auror.learn import cohort_training, device
from auror.learn.architectures import Cnn, Mlp
from auror.learn.cohort_training import train_clients
from auror.learn.models import build, flatten, load_flat
from auror.learn.task import Task
from auror.learn.training import (
    Floats,
    Labels,
    TrainingParams,
    batch_order,
    client_seed,
    train_client,
)

CPU = torch.device("cpu")
MLP = Mlp((1, 8, 8), 4, hidden=6)
CNN = Cnn((1, 8, 8), 4, hidden=6)
PLAIN = TrainingParams(epochs=2, batch_size=8, learning_rate=0.1)
HEAVY = replace(PLAIN, momentum=0.9, weight_decay=0.01)


def clients(sizes: tuple[int, ...]) -> tuple[list[Floats], list[Labels]]:
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(4, 1, 8, 8))
    ys = [rng.integers(0, 4, size) for size in sizes]
    xs = [(patterns[y] + rng.normal(size=(len(y), 1, 8, 8))).astype(np.float32) for y in ys]
    return xs, ys


def reference(model: Floats, x: Floats, y: Labels, params: TrainingParams, seed: int) -> Floats:
    """The same training with torch.optim.SGD."""
    module = build(MLP, 0)
    load_flat(module, model)
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
    )
    for batch in batch_order(len(y), params, seed):
        optimizer.zero_grad()
        logits = module(torch.from_numpy(x[batch]))
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(y[batch])).backward()
        optimizer.step()
    return flatten(module) - model


@pytest.mark.parametrize("params", [PLAIN, HEAVY])
def test_one_client_trains_as_torch_optim_does(params: TrainingParams) -> None:
    (x,), (y,) = clients((29,))
    model = flatten(build(MLP, 1))
    update = train_client(MLP, model, x, y, params=params, seed=5, device=CPU)
    np.testing.assert_allclose(update, reference(model, x, y, params, 5), atol=1e-6)
    assert update.dtype == np.float32
    assert np.abs(update).max() > 0.01


@pytest.mark.parametrize("spec", [MLP, CNN])
@pytest.mark.parametrize("params", [PLAIN, HEAVY])
def test_many_clients_at_once_train_as_one_by_one(spec: Task, params: TrainingParams) -> None:
    # Unequal sizes: other numbers of steps, and other batch sizes within a step.
    xs, ys = clients((5, 29, 16, 1, 23))
    model = flatten(build(spec, 1))
    seeds = [11, 12, 13, 14, 15]
    together = train_clients(spec, model, xs, ys, params=params, seeds=seeds, device=CPU)
    for client, (x, y, seed) in enumerate(zip(xs, ys, seeds, strict=True)):
        alone = train_client(spec, model, x, y, params=params, seed=seed, device=CPU)
        np.testing.assert_allclose(together[client], alone, atol=2e-6)


def test_one_per_core_is_one_by_one_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions over large images; what the process draws otherwise is left alone."""
    xs, ys = clients((20, 9))
    model = flatten(build(CNN, 1))
    alone = [
        train_client(CNN, model, x, y, params=HEAVY, seed=seed, device=CPU)
        for x, y, seed in zip(xs, ys, (3, 4), strict=True)
    ]
    both_train = threading.Barrier(2, timeout=60)
    honest = cohort_training.train_module

    def together(*arguments: Any) -> Floats:
        both_train.wait()  # broken, and the test with it, if one trains after the other
        return honest(*arguments)

    monkeypatch.setattr(cohort_training, "train_module", together)
    monkeypatch.setattr(cohort_training, "worker_threads", lambda: 2)
    monkeypatch.setattr(cohort_training, "faster_at_once", lambda *_: False)
    drawn = torch.get_rng_state()
    many = train_clients(CNN, model, xs, ys, params=HEAVY, seeds=[3, 4], device=CPU)
    assert [row.tobytes() for row in many] == [update.tobytes() for update in alone]
    assert torch.equal(torch.get_rng_state(), drawn)
    wild = replace(PLAIN, learning_rate=1e30)
    with pytest.raises(DataError, match="lower learning_rate"):
        train_clients(CNN, model, xs, ys, params=wild, seeds=[3, 4], device=CPU)


def test_what_draws_is_repeatable_where_one_per_core_would_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LargeRows(Rows):
        vectorised = True

    task = LargeRows()
    assert task.together
    monkeypatch.setattr(cohort_training, "worker_threads", lambda: 2)
    monkeypatch.setattr(cohort_training, "faster_at_once", lambda *_: False)
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=(size, 6)).astype(np.float32) for size in (20, 9)]
    ys = [rng.integers(0, 3, len(x)) for x in xs]
    model, drawn = flatten(build(task, 1)), torch.get_rng_state()
    many = train_clients(task, model, xs, ys, params=PLAIN, seeds=[3, 4], device=CPU)
    assert torch.equal(torch.get_rng_state(), drawn)
    for update, x, y, seed in zip(many, xs, ys, (3, 4), strict=True):
        alone = train_client(task, model, x, y, params=PLAIN, seed=seed, device=CPU)
        assert update.tobytes() == alone.tobytes()


def test_as_many_train_at_a_time_as_the_user_lets_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cores", lambda: 4)
    for said, expected in (("1", 1), ("3", 3), ("64", 4), ("", 4), ("0", 4), ("2,1", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert device.worker_threads() == expected
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert device.worker_threads() == 4


def test_training_repeats_bit_for_bit_and_the_seed_matters() -> None:
    xs, ys = clients((29, 20))
    model = flatten(build(MLP, 1))

    def one(seed: int) -> bytes:
        return train_client(MLP, model, xs[0], ys[0], params=PLAIN, seed=seed, device=CPU).tobytes()

    def both(seeds: list[int]) -> bytes:
        return train_clients(MLP, model, xs, ys, params=PLAIN, seeds=seeds, device=CPU).tobytes()

    assert one(3) == one(3) != one(4)
    assert both([3, 4]) == both([3, 4]) != both([3, 5])


def test_cudnn_stays_on_while_training_and_only_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off, convolutions on a GPU take an order of magnitude longer; nothing else would tell."""
    seen: list[tuple[bool, bool, bool]] = []
    honest = torch.nn.functional.cross_entropy

    def look(*arguments: object, **more: object) -> torch.Tensor:
        cudnn = torch.backends.cudnn
        seen.append((cudnn.enabled, cudnn.deterministic, cudnn.benchmark))
        return honest(*arguments, **more)  # type: ignore[arg-type]

    xs, ys = clients((9, 8))
    model = flatten(build(CNN, 1))
    train_client(CNN, model, xs[0], ys[0], params=PLAIN, seed=1, device=CPU)  # tries the loss once
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", look)
    train_client(CNN, model, xs[0], ys[0], params=PLAIN, seed=1, device=CPU)
    alone = len(seen)
    train_clients(CNN, model, xs, ys, params=PLAIN, seeds=[1, 2], device=CPU)
    assert 0 < alone < len(seen)
    assert set(seen) == {(True, True, False)}


def test_training_learns() -> None:
    (x,), (y,) = clients((60,))
    model = flatten(build(MLP, 1))
    many = replace(PLAIN, epochs=20)
    trained = model + train_client(MLP, model, x, y, params=many, seed=1, device=CPU)
    module = build(MLP, 0)
    load_flat(module, trained)
    assert (module(torch.from_numpy(x)).argmax(1).numpy() == y).mean() > 0.95


def test_inputs_are_left_as_they_were() -> None:
    xs, ys = clients((20, 12))
    model = flatten(build(MLP, 1))
    copies = [array.copy() for array in (model, *xs, *ys)]
    train_clients(MLP, model, xs, ys, params=PLAIN, seeds=[1, 2], device=CPU)
    train_client(MLP, model, xs[0], ys[0], params=PLAIN, seed=1, device=CPU)
    for array, before in zip((model, *xs, *ys), copies, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(("samples", "batch_size"), [(133, 32), (8, 8), (3, 32), (17, 5), (1, 1)])
def test_every_epoch_visits_every_sample_once_in_even_batches(
    samples: int, batch_size: int
) -> None:
    params = TrainingParams(epochs=3, batch_size=batch_size)
    order = batch_order(samples, params, seed=1)
    steps = math.ceil(samples / batch_size)
    assert len(order) == 3 * steps
    for epoch in range(3):
        batches = order[epoch * steps : (epoch + 1) * steps]
        assert sorted(np.concatenate(batches)) == list(range(samples))
        sizes = {len(batch) for batch in batches}
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1


def test_client_seeds_differ_by_run_round_and_client() -> None:
    seeds = {client_seed(run, r, c) for run in range(4) for r in range(5) for c in range(6)}
    assert len(seeds) == 4 * 5 * 6
    assert client_seed(1, 2, 3) == client_seed(1, 2, 3)


def test_an_update_that_is_not_finite_is_refused_with_the_fix() -> None:
    xs, ys = clients((20, 20))
    model = flatten(build(MLP, 1))
    wild = replace(PLAIN, learning_rate=1e30)
    with pytest.raises(DataError, match="lower learning_rate"):
        train_client(MLP, model, xs[0], ys[0], params=wild, seed=1, device=CPU)
    with pytest.raises(DataError, match="lower learning_rate"):
        train_clients(MLP, model, xs, ys, params=wild, seeds=[1, 2], device=CPU)


def test_data_that_does_not_fit_is_refused() -> None:
    (x,), (y,) = clients((20,))
    model = flatten(build(MLP, 1))

    def train(x: Floats, y: Labels) -> None:
        train_client(MLP, model, x, y, params=PLAIN, seed=1, device=CPU)

    with pytest.raises(DataError, match="without samples"):
        train(x[:0], y[:0])
    with pytest.raises(DataError, match="expected"):
        train(x[:5], y)
    with pytest.raises(DataError, match=r"0\.\.3"):
        train(x, y + 1)
    with pytest.raises(DataError, match="one each"):
        train_clients(MLP, model, [x], [y], params=PLAIN, seeds=[1, 2], device=CPU)


def test_nobody_to_train_gives_no_rows() -> None:
    model = flatten(build(MLP, 1))
    updates = train_clients(MLP, model, [], [], params=PLAIN, seeds=[], device=CPU)
    assert updates.shape == (0, model.size)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"momentum": 1.0},
        {"weight_decay": -0.1},
    ],
)
def test_impossible_parameters_are_refused_by_name(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(PLAIN, **change)  # type: ignore[arg-type]
