"""Masked inputs look alike whatever is in them: constant, zero, and random inputs.

Tests are on the packed bytes that go over the wire. With the fixed seeds below they are
deterministic; each would raise a false alarm with probability 1e-6 under other seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from auror.crypto.kex import KeyPair
from auror.ids import ClientId, Digest
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.masked_input import mask_input, mask_pairwise
from auror.secagg.instance import Instance, Ring, SumContext
from auror.sim.seeded import seeded_entropy

FALSE_ALARM = 1e-6
LENGTH = 120_000
INPUTS = {
    "zero": lambda rng, top: np.zeros(LENGTH),
    "largest": lambda rng, top: np.full(LENGTH, top),
    "one": lambda rng, top: np.ones(LENGTH),
    "random": lambda rng, top: rng.integers(0, top, size=LENGTH),
    "sparse": lambda rng, top: (rng.random(LENGTH) < 0.001) * top,
}


def masked(name: str, bits: int, peers: int, instance: Instance = Instance.UPDATE) -> bytes:
    ring, entropy = Ring(bits), seeded_entropy(9, name, bits, peers)
    context = SumContext(Digest(entropy(32)), instance, ring, LENGTH)
    values = INPUTS[name](np.random.default_rng(5), (1 << min(bits, 16)) - 1)
    secrets = MaskSecrets.draw(entropy)
    keys = {ClientId(k + 1): KeyPair.draw(entropy).public for k in range(peers)}
    plain = values.astype(ring.dtype)
    if instance is Instance.UPDATE:
        sent = mask_input(context, ClientId(0), secrets, keys, plain)
    else:  # statistics: no self mask
        sent = mask_pairwise(context, ClientId(0), secrets.mask_key, keys, plain)
    return ring.to_bytes(sent)


def bits_of(payload: bytes, length: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(payload, dtype=np.uint8), bitorder="little")[:length]


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(
    ("bits", "peers", "instance"),
    [
        (17, 0, Instance.UPDATE),
        (21, 3, Instance.UPDATE),
        (26, 5, Instance.UPDATE),
        (32, 1, Instance.UPDATE),
        (64, 1, Instance.STATISTICS),
        (64, 2, Instance.STATISTICS),
    ],
)
def test_bytes_of_masked_inputs_are_uniform(
    name: str, bits: int, peers: int, instance: Instance
) -> None:
    payload = masked(name, bits, peers, instance)
    counts = np.bincount(np.frombuffer(payload, dtype=np.uint8), minlength=256)
    expected = len(payload) / 256
    statistic = ((counts - expected) ** 2 / expected).sum()
    low, high = chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], 255)
    assert low < statistic < high


@pytest.mark.parametrize("name", INPUTS)
def test_every_bit_of_an_element_is_fair_and_independent_of_its_neighbours(name: str) -> None:
    bits = 21
    table = bits_of(masked(name, bits, 3), LENGTH * bits).reshape(LENGTH, bits).astype(np.int64)
    limit = norm.isf(FALSE_ALARM / (2 * bits * bits)) / 2 / np.sqrt(LENGTH)
    assert abs(table.mean(axis=0) - 0.5).max() < limit
    signs = 2 * table - 1
    cross = signs.T @ signs / LENGTH - np.eye(bits)
    assert abs(cross).max() < 2 * limit
    assert abs((signs[1:] * signs[:-1]).mean(axis=0)).max() < 2 * limit


def test_an_unmasked_input_does_not_pass() -> None:
    ring = Ring(21)
    payload = ring.to_bytes(np.full(LENGTH, 123, dtype=np.uint32))
    counts = np.bincount(np.frombuffer(payload, dtype=np.uint8), minlength=256)
    expected = len(payload) / 256
    assert ((counts - expected) ** 2 / expected).sum() > chi2.ppf(1 - FALSE_ALARM / 2, 255)
