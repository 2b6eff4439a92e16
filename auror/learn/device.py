"""Which device trains."""

from __future__ import annotations

import os
import re

import torch

from auror.cores import cores
from auror.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """``auto`` (the first CUDA device if there is one, else the CPU), ``cpu``, ``cuda``,
    ``cuda:N``.

    Raises:
        ConfigError: another name, or a CUDA device that this machine or torch does not have.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise ConfigError(f"unknown device {name!r}; choose auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise ConfigError(
            f"device {name!r}: torch {torch.__version__} finds no CUDA device; use cpu or auto"
        )
    index, count = int(match[1] or 0), torch.cuda.device_count()
    if index >= count:
        raise ConfigError(f"device {name!r}: this machine has cuda:0 to cuda:{count - 1} only")
    return torch.device("cuda", index)


def worker_threads() -> int:
    """How many clients train on the CPU at a time: what ``OMP_NUM_THREADS`` says, by default and
    at most the cores that this process may use. Torch itself has one thread for each of them."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(said), cores()) if said.isdigit() and int(said) else cores()
