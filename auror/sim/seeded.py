"""Randomness that repeats, for simulations only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.tags import encode
from auror.ids import ClientId, Digest
from auror.round.public import PublicSeed


def seeded_bytes(seed: int, *labels: str | int, length: int = 32) -> bytes:
    """``length`` ≤ 64 bytes named by the run's seed and some labels."""
    parts = [str(label).encode() for label in (seed, *labels)]
    return hashlib.sha512(encode(b"auror/simulation", *parts)).digest()[:length]


def seeded_entropy(seed: int, *labels: str | int) -> Entropy:
    """A stand-in for the OS's randomness: SHAKE-256 of the labels, read on and on."""
    material = seeded_bytes(seed, *labels)
    drawn = 0

    def entropy(count: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(material + drawn.to_bytes(8, "little")).digest(count)

    return entropy


def seeded_public_seed(seed: int) -> PublicSeed:
    """The public randomness of every round from the run's seed and T, whoever contributed."""

    def public_seed(
        transcript: Digest, uploaded: tuple[ClientId, ...], randomness: Mapping[ClientId, bytes]
    ) -> bytes:
        return seeded_bytes(seed, "public", transcript.hex())

    return public_seed


def rounding_seed(seed: int, counter: int, client: ClientId) -> Secret:
    """Seeds the stochastic rounding of one client in one round."""
    return Secret(seeded_bytes(seed, "rounding", counter, client))
