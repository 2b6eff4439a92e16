"""The folder of a client that was given the trained model.

It holds the model's file as a server's run folder does, the signed policy, and what the client
knows of the training; ``auror export`` and ``auror evaluate`` take it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.checks import check_writable
from auror.deployment.model_file import MODEL_FILE, model_bytes
from auror.deployment.policy_file import POLICY_FILE, policy_json
from auror.errors import ConfigError, DataError
from auror.files import replace_file
from auror.round.policy import Policy

RELEASED_FILE = "released.json"


@dataclass(frozen=True, kw_only=True)
class Released:
    """What a client knows of a model that it was given."""

    client: int
    era: int
    """Trainings begun before the one that made it."""
    step: int
    """Models of that training before it."""
    sha256: str
    """Of the flat model as little-endian float32, in hexadecimal."""
    samples: Mapping[str, Any]
    """By which settings the client loads samples; {} where nobody trained on any."""


def check_folder(folder: Path, setting: str) -> Path:
    """``folder`` can be written, and holds nothing but a model that was released before.

    Raises:
        ConfigError: naming ``setting``.
    """
    try:
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise ConfigError(
            f"{setting} = {folder}: cannot be read ({error.strerror}); choose another folder"
        ) from error
    if found and RELEASED_FILE not in found:
        raise ConfigError(
            f"{setting} = {folder} holds other files: choose a new folder for the final model"
        )
    return check_writable(setting, folder)


def keep_released(
    folder: Path, policy: Policy, released: Released, model: NDArray[np.float32]
) -> None:
    """Write the three files, each whole or not at all, the model last.

    Raises:
        ValueError: ``model`` (d,) is not one of the policy's task.
        OSError: they cannot be written.
    """
    content = model_bytes(policy.task, model)
    facts = json.dumps(asdict(released), indent=2) + "\n"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(folder / RELEASED_FILE, facts.encode(), 0o600)
    replace_file(folder / POLICY_FILE, policy_json(policy))
    replace_file(folder / MODEL_FILE, content)


def read_released(folder: Path) -> Released:
    """Raises DataError when the file is missing or not one of these."""
    path = folder / RELEASED_FILE
    try:
        raw = json.loads(path.read_bytes())
        found = Released(**raw)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path} was not written by this version: {error}") from error
    kinds = (int, int, int, str, dict)
    values = (found.client, found.era, found.step, found.sha256, found.samples)
    if any(type(value) is not kind for value, kind in zip(values, kinds, strict=True)):
        raise DataError(f"{path} was not written by this version: a value of another type")
    return found
