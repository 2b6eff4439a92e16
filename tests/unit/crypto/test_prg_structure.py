"""The mask generator's structure. A χ² test alone passes generators that fold their seed to 32
bits or repeat one scalar; these tests do not."""

from __future__ import annotations

import numpy as np
import pytest

from auror.crypto.entropy import Secret
from auror.crypto.kex import expand
from auror.crypto.prg import UniformIntegers, keystream, words
from auror.crypto.tags import Tag, number

SEED = bytes(range(32))
LENGTH = 4096


def stream(seed: bytes, length: int = LENGTH) -> bytes:
    return keystream(Secret(seed), length)


def flipped(bit: int) -> bytes:
    seed = bytearray(SEED)
    seed[bit // 8] ^= 1 << (bit % 8)
    return bytes(seed)


def test_every_one_of_the_256_seed_bits_changes_half_of_the_stream() -> None:
    base = np.unpackbits(np.frombuffer(stream(SEED), dtype=np.uint8))
    seen = {stream(SEED)}
    for bit in range(256):
        other = stream(flipped(bit))
        seen.add(other)
        changed = (base != np.unpackbits(np.frombuffer(other, dtype=np.uint8))).mean()
        assert abs(changed - 0.5) < 0.018  # 6.5 standard deviations of 32,768 fair coins
    assert len(seen) == 257


def test_every_seed_bit_changes_the_first_block_already() -> None:
    assert len({stream(flipped(bit), 16) for bit in range(256)} | {stream(SEED, 16)}) == 257


def test_words_are_the_stream_and_prefixes_of_one_another() -> None:
    whole = stream(SEED, 8 * 70_000)
    for dtype, size in ((np.uint32, 4), (np.uint64, 8)):
        for count in (1, 5, 65_536, 65_537, 70_000):  # around the edge of a 256 KiB block
            made = np.empty(count, dtype=dtype)
            for positions, block in words(Secret(SEED), count, dtype):  # type: ignore[arg-type]
                made[positions] = block
            assert made.tobytes() == whole[: count * size]


def test_no_block_of_the_cipher_repeats() -> None:
    blocks = np.frombuffer(stream(SEED, 1 << 20), dtype="V16")
    assert len(np.unique(blocks)) == len(blocks)


@pytest.mark.parametrize("tag", [Tag.UPDATE_SELF_MASK, Tag.STATISTICS_PAIRWISE_MASK])
def test_masks_of_two_purposes_rounds_or_clients_have_nothing_in_common(tag: Tag) -> None:
    keys = {
        expand(SEED, purpose, transcript, number(owner)).reveal()
        for purpose in (tag, Tag.UPDATE_PAIRWISE_MASK)
        for transcript in (bytes(32), bytes(31) + b"\1")
        for owner in (0, 1, 256)
    }
    streams = [np.frombuffer(stream(key), dtype=np.uint8) for key in keys]
    assert len(keys) == 12
    for k, one in enumerate(streams):
        for other in streams[:k]:
            assert abs((one == other).mean() - 1 / 256) < 0.006  # six standard deviations


def test_the_stream_is_no_mersenne_twister_of_some_32_bit_seed_of_ours() -> None:
    """What Flower's masks are: a generator seeded with 32 bits of the secret."""
    first = np.frombuffer(stream(SEED, 64), dtype="<u4")
    parts = [SEED[k : k + 4] for k in range(29)]
    folded = {int.from_bytes(part, order) for part in parts for order in ("little", "big")}  # type: ignore[arg-type]
    folded.add(sum(np.frombuffer(SEED, dtype="<u4").tolist()) % 2**32)
    for seed in sorted(folded):
        twister = np.random.RandomState(seed).randint(0, 2**32, size=16, dtype=np.uint32)
        assert not np.array_equal(twister, first)


def test_public_choices_are_uniform_and_repeatable() -> None:
    draws = UniformIntegers(Secret(SEED))
    counts = np.bincount([draws.below(6) for _ in range(12_000)], minlength=6)
    assert ((counts - 2000) ** 2 / 2000).sum() < 25.7  # χ², 5 degrees of freedom, p = 1e-4
    again, more = UniformIntegers(Secret(SEED)), UniformIntegers(Secret(SEED))
    assert [again.below(2**63) for _ in range(50)] == [more.below(2**63) for _ in range(50)]
