"""Who gets which training samples: evenly at random, or with label skew (Dirichlet, shards).

Samples of one track (``auror.learn.splitting``) stay together: what is dealt are tracks, unless
the partition is one of samples (``iid-samples``, ``dirichlet-samples:A``): then several clients may
hold samples of one track. Without tracks every sample is one of its own.
"""

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

_SAMPLES = "-samples"
_USAGE = (
    "write iid, dirichlet:ALPHA or shards:K, for example dirichlet:1.0 or shards:2; where samples"
    " are of tracks also iid-samples or dirichlet-samples:ALPHA"
)


@dataclass(frozen=True, slots=True)
class Iid:
    """Shuffled and cut into shares whose sizes differ by at most one.

    Tracks are dealt in turn, class after class: clients differ by at most one track, in all and
    of each class. Where a class has fewer tracks than there are clients, some have none of it.
    ``by_sample``: as if there were no tracks.
    """

    by_sample: bool = False

    def split(
        self, labels: Labels, clients: int, seed: int, tracks: Indices | None = None
    ) -> list[Indices]:
        """Indices into ``labels`` (N,), sorted, per client: disjoint, together everything.

        ``tracks`` (N,): the track of each sample, by a number that no other class has.

        Raises:
            ConfigError: fewer than 1 client; or dealt by sample, and there are no tracks.
            DataError: more clients than samples or tracks.
        """
        if self.by_sample:
            _check_tracks(self, tracks)
            tracks = None
        units = _Units.of(labels, clients, tracks)
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(len(units.labels))
        if tracks is None:
            return units.samples(np.array_split(shuffled, clients))
        classes = rng.permutation(int(labels.max()) + 1)
        in_turn = shuffled[np.argsort(classes[units.labels[shuffled]], kind="stable")]
        return units.samples([in_turn[first::clients] for first in rng.permutation(clients)])

    def __str__(self) -> str:
        return f"iid{_SAMPLES}" if self.by_sample else "iid"


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """Every class is shared out by its own draw from Dirichlet(alpha, ..., alpha).

    The usual label-skew benchmark (Hsu, Qi, Brown 2019): the smaller ``alpha`` > 0, the more
    skew. Clients left with fewer than ``MINIMUM_SAMPLES`` are topped up with random samples of
    whoever then has most; with tracks, as far as whole ones allow, and with one at least.
    ``by_sample``: as if there were no tracks.
    """

    alpha: float
    by_sample: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"partition: alpha must be positive, not {self.alpha}; {_USAGE}")

    def split(
        self, labels: Labels, clients: int, seed: int, tracks: Indices | None = None
    ) -> list[Indices]:
        """As ``Iid.split``."""
        if self.by_sample:
            _check_tracks(self, tracks)
            tracks = None
        units = _Units.of(labels, clients, tracks)
        rng = np.random.default_rng(seed)
        owner = np.empty(len(units.labels), dtype=np.int64)
        for label in np.unique(units.labels):
            members = rng.permutation(np.flatnonzero(units.labels == label))
            shares = rng.dirichlet(np.full(clients, self.alpha))
            cuts = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
            for client, piece in enumerate(np.split(members, cuts)):
                owner[piece] = client
        floor = min(MINIMUM_SAMPLES, len(labels) // clients)
        sizes = np.bincount(owner, weights=units.sizes, minlength=clients)
        for client in range(clients):
            while sizes[client] < floor:
                several = np.bincount(owner, minlength=clients) > 1
                several[client] = False
                if not several.any():
                    break
                richest = int(np.argmax(np.where(several, sizes, -1)))
                moved = rng.choice(np.flatnonzero(owner == richest))
                owner[moved] = client
                sizes[richest] -= units.sizes[moved]
                sizes[client] += units.sizes[moved]
        return units.samples([np.flatnonzero(owner == client) for client in range(clients)])

    def __str__(self) -> str:
        return f"dirichlet{_SAMPLES if self.by_sample else ''}:{self.alpha!r}"


@dataclass(frozen=True, slots=True)
class LabelShards:
    """Sorted by label, cut into ``clients * per_client`` shards, ``per_client`` dealt to each.

    The pathological partition of McMahan et al. 2017, section 3: a client sees about
    ``per_client`` (at least 1) labels. Shards differ by at most one sample or track, so clients
    differ by at most ``per_client``; which samples of a label share a shard is random.
    """

    per_client: int

    def __post_init__(self) -> None:
        if self.per_client < 1:
            raise ConfigError(f"partition: K must be at least 1, not {self.per_client}; {_USAGE}")

    def split(
        self, labels: Labels, clients: int, seed: int, tracks: Indices | None = None
    ) -> list[Indices]:
        """As ``Iid.split``; DataError: more shards than samples or tracks."""
        units = _Units.of(labels, clients, tracks)
        count = clients * self.per_client
        if count > len(units.labels):
            raise DataError(
                f"{clients} clients with {self.per_client} shards each need {count} training"
                f" {units.word}, there are {len(units.labels)}: lower K of shards:K or the number"
                " of clients"
            )
        rng = np.random.default_rng(seed)
        by_label = np.lexsort((rng.permutation(len(units.labels)), units.labels))
        shards = np.array_split(by_label, count)
        dealt = rng.permutation(count).reshape(clients, self.per_client)
        return units.samples([np.concatenate([shards[shard] for shard in hand]) for hand in dealt])

    def __str__(self) -> str:
        return f"shards:{self.per_client}"


Partition = Iid | Dirichlet | LabelShards


def parse_partition(text: str) -> Partition:
    """Read ``iid``, ``dirichlet:1.0``, ``shards:2``, ``iid-samples`` or ``dirichlet-samples:1.0``,
    as ``str`` writes them.

    Raises:
        ConfigError: anything else; the message shows how to write it.
    """
    if text in ("iid", f"iid{_SAMPLES}"):
        return Iid(by_sample=text != "iid")
    word, _, number = text.partition(":")
    try:
        match word:
            case "dirichlet" | "dirichlet-samples":
                return Dirichlet(float(number), by_sample=word != "dirichlet")
            case "shards":
                return LabelShards(int(number))
    except ValueError as error:
        raise ConfigError(f"partition {text!r}: {word} cannot take {number!r}; {_USAGE}") from error
    raise ConfigError(f"partition {text!r} is not known; {_USAGE}")


def _check_tracks(partition: Iid | Dirichlet, tracks: Indices | None) -> None:
    """Raises ConfigError where there are none that dealing by sample could part."""
    if tracks is None:
        usual = str(partition).replace(_SAMPLES, "")
        raise ConfigError(
            f"partition = {partition} has no effect: these samples are of no tracks, each is dealt"
            f" by itself anyway; choose {usual}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """What is dealt: samples, or tracks.

    ``labels``, ``sizes`` (U,): class of each and its number of samples; ``of_sample`` (N,): which
    of them a sample is of.
    """

    labels: Labels
    sizes: Indices
    of_sample: Indices
    word: str

    @classmethod
    def of(cls, labels: Labels, clients: int, tracks: Indices | None) -> _Units:
        """Raises ConfigError, DataError: no clients, or more of them than units."""
        each = np.arange(len(labels)) if tracks is None else tracks
        _, first, inverse, sizes = np.unique(
            each, return_index=True, return_inverse=True, return_counts=True
        )
        word = "samples" if tracks is None else "tracks"
        if clients < 1:
            raise ConfigError(f"clients must be at least 1, not {clients}")
        if clients > len(first):
            raise DataError(
                f"{clients} clients cannot share {len(first)} training {word}; take fewer clients"
            )
        return cls(labels[first], sizes, inverse, word)

    def samples(self, hands: list[Indices]) -> list[Indices]:
        """The samples, sorted, of every client, from its units."""
        owner = np.empty(len(self.labels), dtype=np.int64)
        for client, hand in enumerate(hands):
            owner[hand] = client
        owners = owner[self.of_sample]
        cuts = np.cumsum(np.bincount(owners, minlength=len(hands)))[:-1]
        return np.split(np.argsort(owners, kind="stable"), cuts)
