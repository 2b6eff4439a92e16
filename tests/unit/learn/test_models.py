"""Models: deterministic initial values, and the flat vector that everything else rests on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auror.errors import ConfigError, DataError
from auror.learn.architectures import Cnn, Labelled, Mlp, ResNet18
from auror.learn.models import build, flatten, load_flat, penultimate
from auror.learn.task import Task
from auror.round.output import OutputShape

MLP = Mlp((1, 28, 28), 10)
CNN = Cnn((1, 28, 28), 10, hidden=84)


@pytest.mark.parametrize("spec", [MLP, CNN, Cnn((3, 8, 8), 4)])
def test_equal_seeds_build_equal_bits_and_the_global_generator_is_untouched(
    spec: Task,
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = flatten(build(spec, 1))
    assert torch.equal(torch.rand(3), expected)
    assert first.tobytes() == flatten(build(spec, 1)).tobytes()
    assert first.tobytes() != flatten(build(spec, 2)).tobytes()


@pytest.mark.parametrize("spec", [MLP, CNN, Mlp((1, 8, 8), 3, hidden=5)])
def test_layout_covers_the_vector_without_gaps(spec: Task) -> None:
    plan = spec.layout
    stops = [0, *(piece.stop for piece in plan.slices)]
    assert [piece.offset for piece in plan.slices] == stops[:-1]
    assert stops[-1] == plan.dim == flatten(build(spec, 0)).size


def test_the_mlp_of_the_measurements_has_the_known_layout() -> None:
    plan = MLP.layout
    assert plan.dim == 784 * 64 + 64 + 64 * 10 + 10
    assert plan.output == OutputShape(50_240, 10, 64)
    assert plan.output_name == "output"


@pytest.mark.parametrize("spec", [MLP, CNN])
def test_output_block_of_the_vector_is_the_output_layer(spec: Task) -> None:
    module = build(spec, 3)
    output = spec.layout.need_output()
    block = output.weights(flatten(module))
    np.testing.assert_array_equal(block, module.output.weight.detach().numpy())
    np.testing.assert_array_equal(output.weights(2 * flatten(module)), 2 * block)


@pytest.mark.parametrize("spec", [MLP, CNN])
def test_a_loaded_vector_comes_back_and_gives_the_same_outputs(spec: Task) -> None:
    source, other = build(spec, 1), build(spec, 2)
    load_flat(other, flatten(source))
    assert flatten(other).tobytes() == flatten(source).tobytes()
    x = torch.rand(4, *spec.input_shape)
    assert torch.equal(source(x), other(x))


def test_flatten_copies() -> None:
    module = build(MLP, 1)
    flatten(module)[:] = 0
    assert np.abs(flatten(module)).max() > 0


@pytest.mark.parametrize("spec", [MLP, CNN])
def test_penultimate_activations_lead_to_the_logits(spec: Task) -> None:
    module = build(spec, 1)
    x = torch.rand(5, *spec.input_shape)
    activations = penultimate(module, "output", x)
    assert activations.shape == (5, spec.hidden)
    assert torch.equal(module.output(activations), module(x))


def test_a_vector_of_the_wrong_length_or_not_finite_is_refused() -> None:
    module = build(MLP, 1)
    before = flatten(module)
    with pytest.raises(DataError, match="50890 entries"):
        load_flat(module, before[:-1])
    spoilt = before.copy()
    spoilt[7] = np.nan
    with pytest.raises(DataError, match="not finite"):
        load_flat(module, spoilt)
    assert flatten(module).tobytes() == before.tobytes()


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "settings", "hint"),
    [
        (Mlp, (), 10, {}, "shape of one sample"),
        (Mlp, (8, 0), 10, {}, "shape of one sample"),
        (Mlp, (1, 8, 8), 1, {}, "2 or more"),
        (Mlp, (1, 8, 8), 10, {"hidden": 0}, "hidden"),
        (Cnn, (1, 3, 8), 10, {}, "use mlp"),
        (Cnn, (64,), 10, {}, "use mlp"),
        (ResNet18, (1, 8, 8), 10, {"width": 0}, "width"),
    ],
)
def test_impossible_shapes_are_refused_with_the_fix(
    kind: type[Labelled],
    shape: tuple[int, ...],
    classes: int,
    settings: dict[str, int],
    hint: str,
) -> None:
    with pytest.raises(ConfigError, match=hint):
        kind(shape, classes, **settings)
