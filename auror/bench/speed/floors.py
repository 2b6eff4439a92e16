"""What the machine can do at all: rates of the primitives that no protocol can do without.

A rate is work over CPU seconds, so other programs on the machine hardly count. On two cores two
processes work at once, each on its own data, and their rates are added up.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from nacl.bindings import crypto_sign_open

from auror.crypto.entropy import Secret
from auror.crypto.prg import words

_SECONDS = 0.4
_WORDS = 100_000
"""As many as an update of the smaller sizes has: the accumulator stays in the cache."""
_COPIED_BYTES = 64 << 20
_CALLS = 200
Kernel = Callable[[], int]
"""Does some work and says how much."""


@dataclass(frozen=True, slots=True)
class FloorWork:
    """How much of each primitive a step cannot do without."""

    stream_bytes: int = 0
    """Key stream that is added to an accumulator."""
    agreements: int = 0
    """X25519."""
    verifications: int = 0
    """Ed25519."""
    copied_bytes: int = 0
    """Memory."""


@dataclass(frozen=True, slots=True)
class CoreRates:
    """Per CPU second of one core, or of two that work at once."""

    stream_bytes: float
    agreements: float
    verifications: float
    copied_bytes: float

    def seconds(self, work: FloorWork) -> float:
        """What ``work`` takes at these rates."""
        return (
            work.stream_bytes / self.stream_bytes
            + work.agreements / self.agreements
            + work.verifications / self.verifications
            + work.copied_bytes / self.copied_bytes
        )


@dataclass(frozen=True, slots=True)
class MachineFloors:
    """Of this machine, now."""

    one_core: CoreRates
    two_cores: CoreRates


def measure_floors() -> MachineFloors:
    """Takes about five seconds."""
    alone = CoreRates(**{name: rate(name) for name in KERNELS})
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        list(pool.map(_warm, range(2)))
        both = CoreRates(**{name: sum(pool.map(rate, [name, name])) for name in KERNELS})
    return MachineFloors(alone, both)


def rate(name: str) -> float:
    """Work per CPU second of the kernel ``name``: the best of five pieces."""
    kernel = KERNELS[name]()
    kernel()
    found = []
    for _ in range(5):
        done, started = 0, time.process_time()
        while (spent := time.process_time() - started) < _SECONDS / 5:
            done += kernel()
        found.append(done / spent)
    return max(found)


def _warm(_: int) -> None:
    """Both processes are up, and have imported what they need, before the first is measured."""
    time.sleep(_SECONDS)


def _stream() -> Kernel:
    accumulator, seed = np.zeros(_WORDS, dtype=np.uint32), Secret(bytes(32))

    def kernel() -> int:
        for positions, block in words(seed, _WORDS, np.uint32):
            accumulator[positions] += block
        return accumulator.nbytes

    return kernel


def _agreement() -> Kernel:
    own, peer = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()

    def kernel() -> int:
        for _ in range(_CALLS):
            own.exchange(peer)
        return _CALLS

    return kernel


def _verification() -> Kernel:
    key, text = Ed25519PrivateKey.generate(), bytes(64)
    signed, public = key.sign(text) + text, key.public_key().public_bytes_raw()

    def kernel() -> int:
        for _ in range(_CALLS):
            crypto_sign_open(signed, public)
        return _CALLS

    return kernel


def _copy() -> Kernel:
    source = np.ones(_COPIED_BYTES // 8)
    target = np.empty_like(source)

    def kernel() -> int:
        np.copyto(target, source)
        return source.nbytes

    return kernel


KERNELS: Mapping[str, Callable[[], Kernel]] = {
    "stream_bytes": _stream,
    "agreements": _agreement,
    "verifications": _verification,
    "copied_bytes": _copy,
}
"""By the field of ``CoreRates``."""
