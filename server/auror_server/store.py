"""The run folder: one process's, for one user's eyes; its state is in ``auror_server.state``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.checks import check_writable
from auror.deployment.locks import Lock
from auror.deployment.model_file import MODEL_FILE, model_bytes
from auror.errors import ConfigError
from auror.files import replace_file
from auror_server.state.run import RunState

VERDICT = "verdict.json"
CONFIG = "config.toml"
ACCOUNT = "account.json"
SAMPLES = "samples.json"
LOCK = ".lock"
_PRIVATE = 0o600


def lock_folder(folder: Path) -> Lock:
    """Make ``folder`` this process's run folder.

    Raises:
        ConfigError: it cannot be used, or another server runs on it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from error
    return Lock(
        folder / LOCK,
        "server.run_dir",
        f"another auror-server runs on {folder}; end that one first, or choose another folder",
    )


def check_folder(folder: Path) -> Path:
    """``folder`` could be this process's run folder; nothing is made there.

    Raises:
        ConfigError: it cannot be written, or a server runs on it.
    """
    if (folder / LOCK).exists():
        lock_folder(folder).close()
    return check_writable("server.run_dir", folder)


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"server.run_dir = {folder}: cannot write there ({error.strerror}); choose another folder"
    )


class Store:
    """One run folder, open for writing: the state, and files that people and programs take."""

    def __init__(self, folder: Path, state: RunState) -> None:
        self.folder = folder
        self.state = state

    def close(self) -> None:
        self.state.close()

    def keep_model(self, task: bytes, model: NDArray[np.float32]) -> None:
        replace_file(self.folder / MODEL_FILE, model_bytes(task, model), _PRIVATE)

    def keep_verdict(self, verdict: Mapping[str, Any]) -> None:
        self.keep_json(VERDICT, verdict)

    def keep_json(self, name: str, value: Mapping[str, Any]) -> None:
        replace_file(self.folder / name, json.dumps(value, indent=2).encode() + b"\n", _PRIVATE)

    def keep_text(self, name: str, text: str) -> None:
        replace_file(self.folder / name, text.encode(), _PRIVATE)
