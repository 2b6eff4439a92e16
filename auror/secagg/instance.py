"""The two masked sums of a round and the rings they live in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import Tag
from auror.ids import Digest

UInt = NDArray[np.unsignedinteger[Any]]
"""Ring elements: uint32 for rings of up to 32 bits, else uint64."""


class Instance(enum.Enum):
    """Separate key pairs and seeds per instance: with one pair, excluding a client from the
    second opening would reveal what it contributed to the first (docs/adr/0003)."""

    UPDATE = "update"
    STATISTICS = "statistics"

    @property
    def self_mask_tag(self) -> Tag:
        return {
            Instance.UPDATE: Tag.UPDATE_SELF_MASK,
            Instance.STATISTICS: Tag.STATISTICS_SELF_MASK,
        }[self]

    @property
    def pairwise_mask_tag(self) -> Tag:
        return {
            Instance.UPDATE: Tag.UPDATE_PAIRWISE_MASK,
            Instance.STATISTICS: Tag.STATISTICS_PAIRWISE_MASK,
        }[self]


class SecretKind(enum.Enum):
    """The five secrets a client deals in phase 1 (DESIGN §3), in wire order."""

    UPDATE_SELF_SEED = 0
    UPDATE_MASK_KEY = 1
    STATISTICS_SELF_SEED = 2
    STATISTICS_MASK_KEY = 3
    RANDOMNESS = 4


SELF_SEED = {
    Instance.UPDATE: SecretKind.UPDATE_SELF_SEED,
    Instance.STATISTICS: SecretKind.STATISTICS_SELF_SEED,
}
MASK_KEY = {
    Instance.UPDATE: SecretKind.UPDATE_MASK_KEY,
    Instance.STATISTICS: SecretKind.STATISTICS_MASK_KEY,
}


@dataclass(frozen=True, slots=True)
class Ring:
    """Integers modulo 2^bits, held in unsigned words of 4 bytes (bits ≤ 32) or 8."""

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError("a ring has 1 … 64 bits")

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        return np.uint32 if self.bits <= 32 else np.uint64

    @property
    def entry_bytes(self) -> int:
        return np.dtype(self.dtype).itemsize

    def zeros(self, length: int) -> UInt:
        return np.zeros(length, dtype=self.dtype)

    def reduce(self, values: UInt) -> UInt:
        """``values`` modulo 2^bits, in place."""
        if self.bits not in (32, 64):
            values &= self.dtype((1 << self.bits) - 1)
        return values

    def to_bytes(self, values: UInt) -> bytes:
        """Little-endian words, nothing else."""
        return np.ascontiguousarray(values, dtype=np.dtype(self.dtype).newbyteorder("<")).tobytes()

    def from_bytes(self, payload: bytes, length: int) -> UInt:
        """A fresh, writable array of ``length`` ring elements.

        Raises:
            ValueError: wrong size, or an entry outside the ring.
        """
        if len(payload) != length * self.entry_bytes:
            raise ValueError(f"{len(payload)} bytes, {length * self.entry_bytes} expected")
        words = np.frombuffer(payload, dtype=np.dtype(self.dtype).newbyteorder("<"))
        if self.bits not in (32, 64) and length and int(words.max()) >> self.bits:
            raise ValueError(f"an entry does not fit {self.bits} bits")
        return words.astype(self.dtype)


@dataclass(frozen=True, slots=True)
class SumContext:
    """What every mask of one sum is bound to."""

    transcript: Digest
    """T, the hash of the round description."""
    instance: Instance
    ring: Ring
    length: int
    """Entries of the vectors that are summed."""
