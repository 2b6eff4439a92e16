"""Who gets which training samples: evenly at random, or with label skew (Dirichlet)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

MINIMUM_SAMPLES = 8
"""What every client gets at least, as far as the data reaches."""

_USAGE = "write iid or dirichlet:ALPHA, for example dirichlet:1.0"


@dataclass(frozen=True, slots=True)
class Partition:
    """``alpha`` None is IID; otherwise the Dirichlet concentration (smaller = more skew)."""

    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"partition: alpha must be positive, not {self.alpha}; {_USAGE}")

    def split(self, labels: Labels, clients: int, seed: int) -> list[Indices]:
        """Index arrays into ``labels``, one per client: disjoint, together everything."""
        if self.alpha is None:
            return partition_iid(labels, clients, seed)
        return partition_dirichlet(labels, clients, self.alpha, seed)

    def __str__(self) -> str:
        return "iid" if self.alpha is None else f"dirichlet:{self.alpha!r}"


def parse_partition(text: str) -> Partition:
    """Read ``iid`` or ``dirichlet:1.0``.

    Raises:
        ConfigError: anything else; the message shows how to write it.
    """
    if text == "iid":
        return Partition()
    word, _, number = text.partition(":")
    if word != "dirichlet":
        raise ConfigError(f"partition {text!r} is not known; {_USAGE}")
    try:
        alpha = float(number)
    except ValueError as error:
        raise ConfigError(f"partition {text!r} has no number for ALPHA; {_USAGE}") from error
    return Partition(alpha)


def partition_iid(labels: Labels, clients: int, seed: int) -> list[Indices]:
    """Shuffle and cut into shares whose sizes differ by at most one; each share is sorted.

    Raises:
        ConfigError: fewer than 1 client. DataError: more clients than samples.
    """
    _check(labels, clients)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    return [np.sort(share) for share in np.array_split(shuffled, clients)]


def partition_dirichlet(labels: Labels, clients: int, alpha: float, seed: int) -> list[Indices]:
    """Every class is shared out by its own draw from Dirichlet(alpha, ..., alpha).

    The usual label-skew benchmark (Hsu, Qi, Brown 2019). Clients left with fewer than
    ``MINIMUM_SAMPLES`` are topped up with random samples of whoever then has most.

    Raises:
        ConfigError: fewer than 1 client, or alpha not positive. DataError: more clients than
            samples.
    """
    _check(labels, clients)
    Partition(alpha)
    rng = np.random.default_rng(seed)
    owner = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(clients, alpha))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for client, piece in enumerate(np.split(members, cuts)):
            owner[piece] = client
    floor = min(MINIMUM_SAMPLES, len(labels) // clients)
    sizes = np.bincount(owner, minlength=clients)
    for client in range(clients):
        while sizes[client] < floor:
            richest = int(np.argmax(sizes))
            moved = rng.choice(np.flatnonzero(owner == richest))
            owner[moved] = client
            sizes[richest] -= 1
            sizes[client] += 1
    return [np.flatnonzero(owner == client) for client in range(clients)]


def _check(labels: Labels, clients: int) -> None:
    if clients < 1:
        raise ConfigError(f"clients must be at least 1, not {clients}")
    if clients > len(labels):
        raise DataError(
            f"{clients} clients cannot share {len(labels)} training samples; lower --clients"
        )
