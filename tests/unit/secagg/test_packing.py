"""Bit packing against arithmetic on one big integer, for every width and around every edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auror.secagg import packing
from auror.secagg.instance import Ring
from auror.secagg.packing import PackedSum, check, pack, packed_bytes, unpack


@pytest.mark.parametrize("bits", range(1, 33))
def test_packed_vectors_are_one_little_endian_integer(bits: int) -> None:
    rng = np.random.default_rng([3, bits])
    for length in (0, 1, 7, 31, 32, 33, 64, 257):
        values = rng.integers(0, 1 << bits, size=length, dtype=np.uint64).astype(np.uint32)
        packed = pack(values, bits)
        whole = sum(int(value) << (k * bits) for k, value in enumerate(values))
        assert packed == whole.to_bytes(-(-length * bits // 8), "little")
        assert len(packed) == packed_bytes(length, bits)
        assert np.array_equal(unpack(packed, bits, length), values)


@pytest.mark.parametrize("bits", [1, 13, 26, 32])
def test_blocks_join_without_a_seam(bits: int) -> None:
    rng = np.random.default_rng(bits)
    values = rng.integers(0, 1 << bits, size=4096 * 32 * 2 + 45, dtype=np.uint64).astype(np.uint32)
    packed = pack(values, bits)
    found = unpack(packed, bits, len(values))
    assert np.array_equal(found, values)
    found += np.uint32(1)  # a fresh array: nobody else sees it change
    assert pack(values, bits) == packed


@given(st.binary(max_size=40), st.integers(1, 32), st.integers(0, 80))
def test_whatever_unpacks_packs_to_the_same_bytes(payload: bytes, bits: int, length: int) -> None:
    try:
        values = unpack(payload, bits, length)
    except ValueError:
        with pytest.raises(ValueError, match=r"expected|after the last"):
            check(payload, bits, length)
        return
    assert pack(values, bits) == payload


@pytest.mark.parametrize(
    ("payload", "why"),
    [(b"\0\0", "2 bytes, 3 expected"), (b"\0" * 4, "4 bytes"), (b"\0\0\x10", "after the last")],
)
def test_other_encodings_of_a_vector_are_refused(payload: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(payload, 10, 2)


@pytest.mark.parametrize("bits", [*range(1, 33), 64])
def test_packed_vectors_are_summed_as_if_unpacked(bits: int) -> None:
    ring, rng = Ring(bits), np.random.default_rng([5, bits])
    for length in (0, 1, 31, 32, 33, 257):
        vectors = [
            rng.integers(0, 1 << bits, length, dtype=np.uint64, endpoint=False).astype(ring.dtype)
            if bits < 64
            else rng.integers(0, 1 << 63, length, dtype=np.uint64) * np.uint64(2)
            for _ in range(5)
        ]
        largest = np.full(length, (1 << bits) - 1, dtype=ring.dtype)  # carries out of every element
        total = ring.zeros(length)
        for vector in (*vectors, largest, largest):
            total += vector
        packed = [ring.to_bytes(vector) for vector in (*vectors, largest, largest)]
        found = ring.sum_packed(packed, length)
        assert found.dtype == ring.dtype
        assert np.array_equal(found, ring.reduce(total))
        assert not ring.sum_packed([], length).any()


@pytest.mark.parametrize("bits", [1, 7, 16, 26, 32])
def test_pieces_of_a_sum_join_without_a_seam(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_SUMMED_WORDS", 1 << 10)
    rng = np.random.default_rng(bits)
    length = 3 * (1 << 10) * 32 // bits + 77
    one, other = (
        rng.integers(0, 1 << bits, size=length, dtype=np.uint64).astype(np.uint32) for _ in "ab"
    )
    found = Ring(bits).sum_packed([pack(one, bits), pack(other, bits)], length)
    assert np.array_equal(found, Ring(bits).reduce(one + other))


def test_of_a_vector_that_is_none_nothing_is_added() -> None:
    summed = PackedSum(10, 2)
    summed.add(pack(np.array([3, 5], dtype=np.uint32), 10))
    for payload in (b"\0\0", b"\xff" * 4, b"\xff\xff\xff"):
        with pytest.raises(ValueError, match=r"expected|after the last"):
            summed.add(payload)
    assert summed.total().tolist() == [3, 5]
