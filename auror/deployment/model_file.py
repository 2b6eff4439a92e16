"""``model.safetensors``: a trained model as tensors with the names of its ``state_dict``.

Server, clients and simulations write the same bytes for the same model. Names and shapes are those
of the signed task, so nobody needs the model's code to write or read the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from auror.errors import DataError
from auror.registry import is_reference

MODEL_FILE = "model.safetensors"
_FACTS = "auror"
"""One entry of metadata only: safetensors writes several in any order."""
_FLAT = "model"
"""The name of the only tensor where the task names none (load tests)."""


def tensor_shapes(task: bytes) -> dict[str, tuple[int, ...]]:
    """Name → shape, in the order of the flat vector; {} for a task without a real model.

    Raises:
        ValueError: not the text of a task.
    """
    try:
        stated = json.loads(task)
        listed: Sequence[Mapping[str, object]] = stated.get("parameters", ())
        return {
            str(one["name"]): tuple(int(side) for side in one["shape"])  # type: ignore[attr-defined]
            for one in listed
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a task: {error!r}") from error


def own_code(task: bytes) -> str:
    """``package.module:name`` of the code that ``task`` trains; "" where auror brings it along, or
    where it is not the text of a task: it goes into a command to be copied."""
    try:
        kind = json.loads(task)["model"]["kind"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return kind if isinstance(kind, str) and is_reference(kind) else ""


def tensor_entries(task: bytes) -> int:
    """d: entries of the model that ``task`` trains, of a load test's too.

    Raises:
        ValueError: not the text of a task.
    """
    shapes = tensor_shapes(task)
    if shapes:
        return sum(math.prod(shape) for shape in shapes.values())
    try:
        return int(json.loads(task)["synthetic"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a task: {error!r}") from error


def named_tensors(task: bytes, model: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The flat ``model`` (d,) cut into the task's tensors, in order.

    Raises:
        ValueError: another number of entries than the task's tensors have.
    """
    shapes = tensor_shapes(task) or {_FLAT: (model.size,)}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if model.shape != (sum(sizes.values()),):
        raise ValueError(f"{model.shape} entries for tensors of {sum(sizes.values())}")
    found, start = {}, 0
    for name, shape in shapes.items():
        piece = model[start : start + sizes[name]].reshape(shape)
        found[name] = np.ascontiguousarray(piece, dtype=np.float32)
        start += sizes[name]
    return found


def model_bytes(task: bytes, model: NDArray[np.float32]) -> bytes:
    """The file's content.

    Raises:
        ValueError: as ``named_tensors``.
    """
    tensors = named_tensors(task, model)
    facts = {"order": list(tensors), "task": hashlib.sha256(task).hexdigest()}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    written: bytes = safetensors.numpy.save(tensors, {_FACTS: text})
    return written


def read_model(path: Path) -> NDArray[np.float32]:
    """The flat model (d,) of ``model_bytes``.

    Raises:
        DataError: no such file, or no model of auror's.
    """
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            order = json.loads(file.metadata()[_FACTS])["order"]
            pieces = [file.get_tensor(name) for name in order]
        flat = np.concatenate([piece.reshape(-1) for piece in pieces])
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: is {path.parent} a finished run?") from error
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} is not a model of a run folder: {error}") from error
    return flat.astype(np.float32)


def model_sha256(model: NDArray[np.float32]) -> str:
    """SHA-256 of the flat model as little-endian float32, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(model, dtype="<f4").tobytes()).hexdigest()
