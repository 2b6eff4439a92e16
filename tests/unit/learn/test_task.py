"""Any ``nn.Module`` as a task: what travels, where the output layer is, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from own_tasks import FrozenBody, Normalised, Regression, Rows, SmallResNet
from torch import nn

from auror.errors import ConfigError, DataError
from auror.learn.architectures import Cnn, Mlp, ResNet18
from auror.learn.cohort_training import train_clients
from auror.learn.evaluate import class_means, evaluate, reference_means
from auror.learn.models import build, flatten, load_flat, loaded
from auror.learn.task import Task
from auror.learn.training import TrainingParams, batch_order, train_client

CPU = torch.device("cpu")
OWN = (SmallResNet(), Rows(), Regression(), Normalised(), FrozenBody())


def samples(task: Task, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *task.input_shape)).astype(np.float32)
    if task.classes is None:
        return x, x.reshape(count, -1).sum(axis=1)
    return x, rng.integers(0, task.classes, count)


def train(task: Task, model: np.ndarray, seed: int = 3, count: int = 40) -> np.ndarray:
    x, y = samples(task, count)
    return train_client(task, model, x, y, params=task.training, seed=seed, device=CPU)


@pytest.mark.parametrize("task", OWN, ids=lambda task: type(task).__name__)
def test_the_vector_holds_the_whole_model_and_training_repeats(task: Task) -> None:
    model = flatten(build(task, 1))
    assert model.size == task.layout.dim
    module = build(task, 2)
    load_flat(module, model)
    kept = {name: t for name, t in module.state_dict().items() if t.is_floating_point()}
    assert {piece.name for piece in task.layout.slices} == set(kept)
    for piece in task.layout.slices:
        there = model[piece.offset : piece.stop].reshape(piece.shape)
        np.testing.assert_array_equal(there, kept[piece.name].numpy())
    update = train(task, model)
    assert np.abs(update).max() > 0
    assert update.tobytes() == train(task, model).tobytes()
    torch.manual_seed(99)  # nobody else's draws matter, and nobody else's are disturbed
    expected = torch.get_rng_state()
    assert update.tobytes() == train(task, model).tobytes()
    assert torch.equal(torch.get_rng_state(), expected)


def test_dropout_follows_the_seed_of_the_client() -> None:
    task = Rows()
    model = flatten(build(task, 1))
    whole = TrainingParams(epochs=1, batch_size=40)  # one batch: its order changes next to nothing
    x, y = samples(task, 40)
    one, other = (
        train_client(task, model, x, y, params=whole, seed=seed, device=CPU) for seed in (1, 2)
    )
    assert np.abs(one - other).max() > 1e-3


def test_running_statistics_travel_and_the_counter_of_batches_does_not() -> None:
    task = Normalised()
    names = [piece.name for piece in task.layout.slices]
    assert names[-2:] == ["1.running_mean", "1.running_var"]
    model = flatten(build(task, 1))
    x, y = samples(task, 40)
    update = train(task, model)
    module = loaded(task, model, CPU)  # as torch itself trains and counts
    optimiser = torch.optim.SGD(module.parameters(), lr=task.training.learning_rate)
    for batch in batch_order(len(y), task.training, 3):
        optimiser.zero_grad()
        outputs = module(torch.from_numpy(x[batch]))
        nn.functional.cross_entropy(outputs, torch.from_numpy(y[batch])).backward()
        optimiser.step()
    np.testing.assert_allclose(model + update, flatten(module), atol=1e-6)
    assert int(module[1].num_batches_tracked) == 4
    mean = task.layout.slices[-2]
    assert np.abs(update[mean.offset : mean.stop]).max() > 1e-3
    fresh = loaded(task, model + update, CPU)
    assert int(fresh[1].num_batches_tracked) == 0
    travelled = (model + update)[mean.offset : mean.stop]
    np.testing.assert_array_equal(fresh[1].running_mean.numpy(), travelled)


def test_what_is_frozen_stays_and_still_travels() -> None:
    task = FrozenBody()
    trained = {piece.name: piece.trained for piece in task.layout.slices}
    assert trained == {"1.weight": False, "1.bias": False, "3.weight": True, "3.bias": True}
    update = train(task, flatten(build(task, 1)))
    head = next(p.offset for p in task.layout.slices if p.trained)
    assert not update[:head].any()
    assert update[head:].any()


@pytest.mark.parametrize(
    ("task", "name"),
    [(SmallResNet(), "6"), (Rows(), "3"), (Normalised(), "4"), (Regression(), None),
     (ResNet18((2, 16, 16), 4, width=8), "output")],
)  # fmt: skip
def test_the_output_layer_is_found(task: Task, name: str | None) -> None:
    found = task.layout
    assert found.output_name == name
    if name is None:
        assert found.output is None
        with pytest.raises(ConfigError, match="no linear output layer"):
            found.need_output()
        return
    module = build(task, 4)
    layer = module.get_submodule(name)
    assert found.output is not None
    assert found.output.bias == (layer.bias is not None)
    weights = found.output.weights(flatten(module))
    np.testing.assert_array_equal(weights, layer.weight.detach().numpy())
    end = found.output.offset + found.output.entries
    block = flatten(module)[found.output.offset : end][weights.size :]
    expected = [] if layer.bias is None else layer.bias.detach().numpy()
    np.testing.assert_array_equal(block, expected)


def test_class_means_are_what_enters_the_output_layer() -> None:
    task = SmallResNet()
    model = flatten(build(task, 1))
    x, y = samples(task, 30)
    module = loaded(task, model, CPU).eval()
    with torch.no_grad():
        features = module[:6](torch.from_numpy(x)).numpy()
    means = class_means(task, model, x, y, CPU)
    np.testing.assert_allclose(means[2], features[y == 2].mean(axis=0), rtol=1e-5)
    own = reference_means(task, model, (x, y), CPU)
    assert own is not None
    np.testing.assert_array_equal(own.means, means)
    assert own.output == task.layout.output
    assert reference_means(Regression(), flatten(build(Regression(), 1)), (x, y), CPU) is None


def test_many_clients_train_as_one_by_one_whatever_the_module() -> None:
    task = Normalised()
    assert not task.together
    model = flatten(build(task, 1))
    sets = [samples(task, count, seed=count) for count in (20, 31)]
    xs, ys = [x for x, _ in sets], [y for _, y in sets]
    many = train_clients(task, model, xs, ys, params=task.training, seeds=[1, 2], device=CPU)
    for row, (x, y) in enumerate(sets):
        alone = train_client(task, model, x, y, params=task.training, seed=row + 1, device=CPU)
        assert many[row].tobytes() == alone.tobytes()


@pytest.mark.parametrize("width", [4, 16])
def test_a_resnet_trains_together_as_alone(width: int) -> None:
    task = ResNet18((2, 16, 16), 4, width=width)
    assert task.together
    params = TrainingParams(epochs=1, batch_size=8, learning_rate=0.02)
    model = flatten(build(task, 1))
    x, y = samples(task, 20)
    alone = train_client(task, model, x, y, params=params, seed=1, device=CPU)
    many = train_clients(task, model, [x, x], [y, y], params=params, seeds=[1, 2], device=CPU)
    np.testing.assert_allclose(many[0], alone, atol=2e-3 * np.abs(alone).max())
    assert np.abs(many[1] - alone).max() > 0.1 * np.abs(alone).max()


def test_metrics_are_the_tasks_own() -> None:
    task = Regression()
    x, y = samples(task, 25)
    found = evaluate(
        task, flatten(build(task, 1)), x, y.astype(np.float32), attack=None, device=CPU
    )
    assert found.accuracy is None
    assert set(found.more) == {"mean_error", "largest_error"}
    assert 0 < found.more["mean_error"] < found.more["largest_error"]
    assert found.to_dict()["mean_error"] == found.more["mean_error"]


def made(**attributes: object) -> Task:
    """A task of rows in three classes with some of it changed."""

    def module(self: Task) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))

    methods = {
        name: attributes.pop(name) for name in tuple(attributes) if callable(attributes[name])
    }
    plain = {"input_shape": (6,), "classes": 3, "build": module}
    return type("Made", (Task,), {**plain, **attributes, **methods})()  # type: ignore[no-any-return]


class Unused(nn.Module):
    """Has a layer with a row per class that its outputs do not come from."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 3)
        self.gate = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return y * torch.sigmoid(self.gate(y))


def test_a_layer_that_is_not_the_output_is_not_taken_for_it() -> None:
    assert made(build=lambda _self: Unused()).layout.output is None
    named = made(build=lambda _self: Unused(), output_layer="first")
    assert named.layout.output_name == "first"


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"input_shape": [6]}, "shape of one sample"),
        ({"input_shape": (7,)}, r"samples of shape \(2, 7\): .*mat1"),
        ({"classes": 1}, "2 or more"),
        ({"classes": 4}, r"outputs \(2, 3\), but 4 classes"),
        ({"build": lambda _self: 3}, "must return a torch.nn.Module"),
        ({"build": lambda _self: nn.Linear(6, 3).double()}, "float32 throughout"),
        ({"build": lambda _self: nn.Linear(6, 3).requires_grad_(False)}, "could be trained"),
        ({"loss": lambda _self, outputs, _targets: outputs}, "must return one number"),
        ({"output_layer": "nowhere"}, "linear layers here: 0, 2"),
        ({"output_layer": "0"}, "with 3 outputs, one per class"),
        ({"classes": None, "output_layer": "2"}, "give classes too"),
        ({"training": 3}, "must be a TrainingParams"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(changes: dict[str, object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as refused:
        made(**changes).layout
    assert "\n" not in str(refused.value)


def test_what_fails_while_training_or_measuring_is_one_line() -> None:
    task = made(loss=lambda _self, outputs, targets: outputs[7].sum() * 0 + outputs.mean())
    x, y = samples(Rows(), 12)
    with pytest.raises(ConfigError, match="samples of shape"):
        task.layout
    broken = made(metrics=lambda _self, _outputs, _targets: {"a": "b"})
    model = flatten(build(broken, 1))
    with pytest.raises(ConfigError, match=r"metrics\(\) failed"):
        evaluate(broken, model, x, y, attack=None, device=CPU)
    with pytest.raises(DataError, match=r"labels must be whole numbers"):
        train_client(
            broken, model, x, y.astype(np.float32), params=broken.training, seed=1, device=CPU
        )
    alone = made(build=lambda _self: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3)))
    with pytest.raises(
        ConfigError, match="training failed: ValueError: Expected more than 1 value"
    ):
        train_client(
            alone, flatten(build(alone, 1)), x[:1], y[:1], params=alone.training, seed=1, device=CPU
        )


def test_the_models_that_come_along_take_rows_and_images() -> None:
    for task in (
        Mlp((12,), 3),
        Mlp((2, 4, 4), 3),
        Cnn((2, 8, 8), 3),
        ResNet18((1, 8, 8), 3, width=2),
    ):
        x, y = samples(task, 10)
        assert train(task, flatten(build(task, 1)), count=10).shape == (task.layout.dim,)
        assert task.layout.output is not None
        assert (
            evaluate(task, flatten(build(task, 1)), x, y, attack=None, device=CPU).accuracy
            is not None
        )
