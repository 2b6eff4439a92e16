"""The first model of each era: files beside the server's policy, which names them by hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from auror.deployment.credential_files import broken, read_file
from auror.deployment.policy_file import POLICY_FILE
from auror.errors import CredentialsError
from auror.files import replace_file
from auror.ids import Digest
from auror.round.description import model_digest
from auror.round.policy import Policy


def first_model_file(folder: Path, era: int) -> Path:
    """Where the server keeps the model at step 0 of ``era``."""
    return folder / "models" / f"era-{era}.safetensors"


def write_first_model(folder: Path, era: int, model: NDArray[np.float32]) -> None:
    """For the server whose credentials are in ``folder``.

    Raises:
        CredentialsError: it cannot be written.
    """
    path = first_model_file(folder, era)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, safetensors.numpy.save({"model": np.ascontiguousarray(model)}))
    except OSError as error:
        raise CredentialsError(f"cannot write {path}: {error.strerror}") from error


def load_first_models(folder: Path, policy: Policy) -> tuple[NDArray[np.float32], ...]:
    """The model at step 0 of each era, (d,), as ``policy`` hashes them.

    Raises:
        CredentialsError: naming the file that is missing or is not that model.
    """
    return tuple(
        _load_first_model(folder, era, digest) for era, digest in enumerate(policy.first_models)
    )


def _load_first_model(folder: Path, era: int, digest: Digest) -> NDArray[np.float32]:
    path = first_model_file(folder, era)
    try:
        model = safetensors.numpy.load(read_file(path.parent, path.name))["model"]
    except (SafetensorError, KeyError) as error:
        raise broken(path, "not a model") from error
    if model.dtype != np.float32 or model.ndim != 1 or model_digest(model) != digest:
        raise broken(path, f"not the first model of era {era} that {POLICY_FILE} names")
    return model
