"""Ring elements of m bits without gaps: 32 of them are m little-endian 32-bit words.

Element k takes the bits k·m … k·m + m − 1 of the stream, bit 0 being the lowest of the first byte.
The last byte is filled with zeros, which :func:`check` insists on, so equal vectors have equal
bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LANES = 32
_ROWS = 4096
"""Rows of 32 elements that are packed at a time: they and the result stay in the cache."""


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
