"""Who gets which training samples: evenly at random, or with label skew (Dirichlet, shards)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

MINIMUM_SAMPLES = 8
"""What every client gets at least of a Dirichlet partition, as far as the data reaches."""

_USAGE = "write iid, dirichlet:ALPHA or shards:K, for example dirichlet:1.0 or shards:2"


@dataclass(frozen=True, slots=True)
class Iid:
    """Shuffled and cut into shares whose sizes differ by at most one."""

    def split(self, labels: Labels, clients: int, seed: int) -> list[Indices]:
        """Indices into ``labels`` (N,), sorted, per client: disjoint, together everything.

        Raises:
            ConfigError: fewer than 1 client. DataError: more clients than samples.
        """
        _check(labels, clients)
        shuffled = np.random.default_rng(seed).permutation(len(labels))
        return [np.sort(share) for share in np.array_split(shuffled, clients)]

    def __str__(self) -> str:
        return "iid"


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """Every class is shared out by its own draw from Dirichlet(alpha, ..., alpha).

    The usual label-skew benchmark (Hsu, Qi, Brown 2019): the smaller ``alpha`` > 0, the more
    skew. Clients left with fewer than ``MINIMUM_SAMPLES`` are topped up with random samples of
    whoever then has most.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"partition: alpha must be positive, not {self.alpha}; {_USAGE}")

    def split(self, labels: Labels, clients: int, seed: int) -> list[Indices]:
        """Indices into ``labels`` (N,), sorted, per client: disjoint, together everything.

        Raises:
            ConfigError: fewer than 1 client. DataError: more clients than samples.
        """
        _check(labels, clients)
        rng = np.random.default_rng(seed)
        owner = np.empty(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            shares = rng.dirichlet(np.full(clients, self.alpha))
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

    def __str__(self) -> str:
        return f"dirichlet:{self.alpha!r}"


@dataclass(frozen=True, slots=True)
class LabelShards:
    """Sorted by label, cut into ``clients * per_client`` shards, ``per_client`` dealt to each.

    The pathological partition of McMahan et al. 2017, section 3: a client sees about
    ``per_client`` (at least 1) labels. Shards differ by at most one sample, so clients differ by
    at most ``per_client``; which samples of a label share a shard is random.
    """

    per_client: int

    def __post_init__(self) -> None:
        if self.per_client < 1:
            raise ConfigError(f"partition: K must be at least 1, not {self.per_client}; {_USAGE}")

    def split(self, labels: Labels, clients: int, seed: int) -> list[Indices]:
        """Indices into ``labels`` (N,), sorted, per client: disjoint, together everything.

        Raises:
            ConfigError: fewer than 1 client. DataError: more shards than samples.
        """
        _check(labels, clients)
        count = clients * self.per_client
        if count > len(labels):
            raise DataError(
                f"{clients} clients with {self.per_client} shards each need {count} training"
                f" samples, there are {len(labels)}: lower K of shards:K or the number of clients"
            )
        rng = np.random.default_rng(seed)
        by_label = np.lexsort((rng.permutation(len(labels)), labels))
        shards = np.array_split(by_label, count)
        dealt = rng.permutation(count).reshape(clients, self.per_client)
        return [np.sort(np.concatenate([shards[shard] for shard in hand])) for hand in dealt]

    def __str__(self) -> str:
        return f"shards:{self.per_client}"


Partition = Iid | Dirichlet | LabelShards


def parse_partition(text: str) -> Partition:
    """Read ``iid``, ``dirichlet:1.0`` or ``shards:2``, as ``str`` writes them.

    Raises:
        ConfigError: anything else; the message shows how to write it.
    """
    if text == "iid":
        return Iid()
    word, _, number = text.partition(":")
    try:
        match word:
            case "dirichlet":
                return Dirichlet(float(number))
            case "shards":
                return LabelShards(int(number))
    except ValueError as error:
        raise ConfigError(f"partition {text!r}: {word} cannot take {number!r}; {_USAGE}") from error
    raise ConfigError(f"partition {text!r} is not known; {_USAGE}")


def _check(labels: Labels, clients: int) -> None:
    if clients < 1:
        raise ConfigError(f"clients must be at least 1, not {clients}")
    if clients > len(labels):
        raise DataError(
            f"{clients} clients cannot share {len(labels)} training samples; take fewer clients"
        )
