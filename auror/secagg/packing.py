"""Ring elements of m bits without gaps: 32 of them are m little-endian 32-bit words.

Element k takes the bits k·m … k·m + m − 1 of the stream, bit 0 being the lowest of the first byte.
The last byte is filled with zeros, which :func:`check` insists on, so equal vectors have equal
bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LANES = 32
_WORD = 32
_ROWS = 4096
"""Rows of 32 elements that are packed at a time: they and the result stay in the cache."""
_SUMMED_WORDS = 1 << 17
"""Words of a packed vector that are added at a time: more, for threads wait for each other between
two steps of fewer."""


def packed_bytes(length: int, bits: int) -> int:
    """⌈length·bits/8⌉."""
    return (length * bits + 7) // 8


def pack(values: NDArray[np.uint32], bits: int) -> bytes:
    """``values`` (length,), each below 2^bits, 1 ≤ bits ≤ 32."""
    length = len(values)
    rows = -(-length // _LANES)
    packed = np.empty((rows, bits), dtype="<u4")
    for start in range(0, rows, _ROWS):
        stop = min(start + _ROWS, rows)
        packed[start:stop] = _pack_rows(_rows(values, start, stop), bits)
    return packed.tobytes()[: packed_bytes(length, bits)]


def unpack(payload: bytes, bits: int, length: int) -> NDArray[np.uint32]:
    """A fresh array of ``length`` elements.

    Raises:
        ValueError: wrong size, or bits after the last element.
    """
    check(payload, bits, length)
    rows = -(-length // _LANES)
    values = np.empty((rows, _LANES), dtype=np.uint32)
    whole = len(payload) // (4 * bits)  # rows that need no filling up
    words = np.frombuffer(payload, dtype="<u4", count=whole * bits).reshape(whole, bits)
    for start in range(0, whole, _ROWS):
        stop = min(start + _ROWS, whole)
        values[start:stop] = _unpack_rows(words[start:stop], bits)
    if whole < rows:
        rest = payload[whole * 4 * bits :].ljust(4 * bits, b"\0")
        values[whole:] = _unpack_rows(np.frombuffer(rest, dtype="<u4").reshape(1, bits), bits)
    return values.reshape(-1)[:length]


def check(payload: bytes, bits: int, length: int) -> None:
    """Whether ``payload`` is a packed vector; every pattern of its bits is one.

    Raises:
        ValueError: wrong size, or bits after the last element.
    """
    expected = packed_bytes(length, bits)
    if len(payload) != expected:
        raise ValueError(f"{len(payload)} bytes, {expected} expected")
    used = length * bits % 8
    if used and payload[-1] >> used:
        raise ValueError("bits after the last element")


class PackedSum:
    """The sum of packed vectors modulo 2^bits, none of which is unpacked.

    Every element begins in a word at some bit: it is ``word >> bit``, and if it goes on in the next
    word, ``next << (32 − bit)`` as well. Bits of others that come along stand above its own, where
    no carry reaches it. So a few sums are enough: of the words; of the words shifted to the first
    element that begins in each; to the second; and so on. They are put together once.
    """

    def __init__(self, bits: int, length: int) -> None:
        self._bits, self._length = bits, length
        begins = [divmod(lane * bits, _WORD) for lane in range(_LANES)]
        words = [word for word, _ in begins]
        self._places = [
            (words[:lane].count(word), word, bit) for lane, (word, bit) in enumerate(begins)
        ]
        """By lane: which of the elements that begin in its word it is, that word, and the bit."""
        most = max(words.count(word) for word in words)
        shifts = np.zeros((most, bits), dtype=np.uint32)
        for which, word, bit in self._places:
            shifts[which, word] = bit
        rows = -(-length // _LANES)
        self._shifts = np.tile(shifts, max(1, min(rows, _SUMMED_WORDS // bits)))
        size = rows * bits
        self._words = np.zeros(size, dtype=np.uint32)
        self._shifted = np.zeros((most, size), dtype=np.uint32)

    def add(self, payload: bytes) -> None:
        """One more vector.

        Raises:
            ValueError: as :func:`check`; nothing of it is added.
        """
        check(payload, self._bits, self._length)
        count = len(payload) // 4
        self._add(np.frombuffer(payload, dtype="<u4", count=count), 0)
        if len(payload) % 4:
            row = np.zeros(count % self._bits + 1, dtype=np.uint32)
            row[-1] = int.from_bytes(payload[4 * count :], "little")
            self._add(row, count + 1 - len(row))

    def total(self) -> NDArray[np.uint32]:
        """A fresh array, (length,), each element below 2^bits."""
        words = self._words.reshape(-1, self._bits)
        values = np.empty((len(words), _LANES), dtype=np.uint32)
        for lane, (which, word, bit) in enumerate(self._places):
            values[:, lane] = self._shifted[which, word :: self._bits]
            if bit + self._bits > _WORD:
                values[:, lane] += words[:, word + 1] << np.uint32(_WORD - bit)
        values &= np.uint32((1 << self._bits) - 1)
        return values.reshape(-1)[: self._length]

    def _add(self, words: NDArray[np.uint32], at: int) -> None:
        """Words from the beginning of a row on, the first of them word ``at`` of the vector."""
        step = self._shifts.shape[1]
        for start in range(0, len(words), step):
            part = words[start : start + step]
            summed = slice(at + start, at + start + len(part))
            self._words[summed] += part
            for shifts, sums in zip(self._shifts, self._shifted, strict=True):
                sums[summed] += part >> shifts[: len(part)]


def _rows(values: NDArray[np.uint32], start: int, stop: int) -> NDArray[np.uint32]:
    """Elements of the rows ``start`` … ``stop``, (rows, 32); the last one filled with zeros."""
    part = values[start * _LANES : stop * _LANES]
    if len(part) < (stop - start) * _LANES:
        part = np.concatenate(
            [part, np.zeros((stop - start) * _LANES - len(part), dtype=np.uint32)]
        )
    return part.reshape(stop - start, _LANES)


def _pack_rows(rows: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    lanes = np.ascontiguousarray(rows.T)  # long runs of one lane: numpy's loops are over rows
    words = np.zeros((bits, rows.shape[0]), dtype=np.uint32)
    for lane in range(_LANES):
        word, shift = divmod(lane * bits, 32)
        words[word] |= lanes[lane] << np.uint32(shift)
        if shift + bits > 32:
            words[word + 1] |= lanes[lane] >> np.uint32(32 - shift)
    return words.T


def _unpack_rows(rows: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    words = np.ascontiguousarray(rows.T)
    lanes = np.empty((_LANES, rows.shape[0]), dtype=np.uint32)
    mask = np.uint32((1 << bits) - 1)
    for lane in range(_LANES):
        word, shift = divmod(lane * bits, 32)
        np.right_shift(words[word], np.uint32(shift), out=lanes[lane])
        if shift + bits > 32:
            lanes[lane] |= words[word + 1] << np.uint32(32 - shift)
        lanes[lane] &= mask
    return lanes.T
