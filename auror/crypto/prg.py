"""The mask generator: AES-256 in counter mode under a key that is used once (zero IV).

All 256 bits of the seed enter the key. Masks are produced in blocks of 512 KiB: they stay in
the cache, and threads seldom wait for each other (docs/protocol.md §2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from auror.crypto.entropy import Secret

_BLOCK_BYTES = 512 * 1024
_ZEROS = bytes(_BLOCK_BYTES)
_ZERO_IV = bytes(16)
_WORDS = struct.Struct("<128Q")
"""Of the stream of public choices, so many at a time."""


def _encryptor(seed: Secret) -> CipherContext:
    return Cipher(AES256(seed.reveal()), CTR(_ZERO_IV)).encryptor()


def keystream(seed: Secret, length: int) -> bytes:
    """The first ``length`` bytes of the stream that ``seed`` names."""
    return _encryptor(seed).update(bytes(length))


def words(
    seed: Secret, count: int, dtype: type[np.uint32] | type[np.uint64]
) -> Iterator[tuple[slice, NDArray[np.uint32] | NDArray[np.uint64]]]:
    """The stream as little-endian words, block by block.

    Yields ``(positions, block)`` with ``block`` valid until the next step.
    """
    encryptor = _encryptor(seed)
    size = np.dtype(dtype).itemsize
    per_block = max(1, min(_BLOCK_BYTES // size, count))
    block = np.empty(per_block, dtype=np.dtype(dtype).newbyteorder("<"))  # no zeros to write first
    buffer = block.data.cast("B")
    for start in range(0, count, per_block):
        stop = min(start + per_block, count)
        length = (stop - start) * size
        encryptor.update_into(memoryview(_ZEROS)[:length], buffer)
        yield slice(start, stop), block[: stop - start]


class UniformIntegers:
    """Unbiased integers from a seed, for public choices everybody must repeat (groups)."""

    def __init__(self, seed: Secret) -> None:
        self._encryptor = _encryptor(seed)
        self._words: Iterator[int] = iter(())

    def below(self, bound: int) -> int:
        """An integer uniform on 0 … bound−1, by rejection."""
        if not 0 < bound <= 2**63:
            raise ValueError("bound must lie in 1 … 2^63")
        limit = 2**64 - 2**64 % bound
        while True:
            value = next(self._words, None)
            if value is None:
                self._words = iter(_WORDS.unpack(self._encryptor.update(bytes(_WORDS.size))))
            elif value < limit:
                return value % bound

    def permutation(self, items: list[int]) -> list[int]:
        """Fisher and Yates's shuffle of a copy of ``items``."""
        shuffled = list(items)
        for last in range(len(shuffled) - 1, 0, -1):
            chosen = self.below(last + 1)
            shuffled[last], shuffled[chosen] = shuffled[chosen], shuffled[last]
        return shuffled
