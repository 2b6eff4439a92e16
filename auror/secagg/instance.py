"""The two masked sums of a round and the rings they live in."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import Tag
from auror.ids import Digest
from auror.secagg import packing

UInt = NDArray[np.unsignedinteger[Any]]
"""Ring elements: uint32 for rings of up to 32 bits, else uint64."""


class Instance(enum.Enum):
    """Separate key pairs per instance: with one pair, excluding a client from the second opening
    would reveal what it contributed to the first (docs/adr/0003).

    Updates have self masks and recover from dropouts. Statistics have pairwise masks inside a
    group and nothing else: their sum appears when every member has sent, and never otherwise
    (docs/adr/0014).
    """

    UPDATE = "update"
    STATISTICS = "statistics"

    @property
    def pairwise_mask_tag(self) -> Tag:
        if self is Instance.UPDATE:
            return Tag.UPDATE_PAIRWISE_MASK
        return Tag.STATISTICS_PAIRWISE_MASK


class SecretKind(enum.Enum):
    """The three secrets a client deals in phase 1, in wire order. The key of its statistics masks
    is not among them: nobody may restore it."""

    SELF_SEED = 0
    """b_i, the self mask of the update."""
    MASK_KEY = 1
    """The key of the update's pairwise masks."""
    RANDOMNESS = 2
    """r_i, this client's part of the public randomness."""

    __hash__ = object.__hash__  # members are single; Enum's own hash is Python: 10^5 in a round


@dataclass(frozen=True, slots=True)
class Ring:
    """Integers modulo 2^bits, held in unsigned words of 4 bytes (bits ≤ 32) or 8 (64)."""

    bits: int

    def __post_init__(self) -> None:
        if not (1 <= self.bits <= 32 or self.bits == 64):
            raise ValueError("a ring has 1 … 32 or 64 bits")

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        return np.uint32 if self.bits <= 32 else np.uint64

    def zeros(self, length: int) -> UInt:
        return np.zeros(length, dtype=self.dtype)

    def reduce(self, values: UInt) -> UInt:
        """``values`` modulo 2^bits, in place."""
        if self.bits not in (32, 64):
            values &= self.dtype((1 << self.bits) - 1)
        return values

    def packed_bytes(self, length: int) -> int:
        """⌈length·bits/8⌉: what ``length`` elements take on the wire."""
        return packing.packed_bytes(length, self.bits)

    def to_bytes(self, values: UInt) -> bytes:
        """``bits`` per element, little-endian, nothing else."""
        if self.bits == 64:
            return np.ascontiguousarray(values, dtype="<u8").tobytes()
        return packing.pack(values.astype(np.uint32, copy=False), self.bits)

    def check(self, payload: bytes, length: int) -> None:
        """Whether ``payload`` is ``length`` elements, without unpacking it.

        Raises:
            ValueError: wrong size, or bits after the last element.
        """
        packing.check(payload, self.bits, length)

    def from_bytes(self, payload: bytes, length: int) -> UInt:
        """A fresh, writable array of ``length`` ring elements.

        Raises:
            ValueError: as :meth:`check`.
        """
        if self.bits == 64:
            self.check(payload, length)
            return np.frombuffer(payload, dtype="<u8").astype(np.uint64)
        return packing.unpack(payload, self.bits, length)

    def sum_packed(self, payloads: Iterable[bytes], length: int) -> UInt:
        """The sum modulo 2^bits, (length,), of vectors in the form of :meth:`to_bytes`, none of
        which is unpacked.

        Raises:
            ValueError: as :meth:`check`, for any of them.
        """
        if self.bits == 64:
            total = self.zeros(length)
            for payload in payloads:
                total += self.from_bytes(payload, length)
            return total
        packed = packing.PackedSum(self.bits, length)
        for payload in payloads:
            packed.add(payload)
        return packed.total()


@dataclass(frozen=True, slots=True)
class SumContext:
    """What every mask of one sum is bound to."""

    binding: Digest
    """T for updates; for statistics h, which covers T and the group's members."""
    instance: Instance
    ring: Ring
    length: int
    """Entries of the vectors that are summed."""
