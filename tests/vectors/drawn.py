"""Randomness of the test vectors: SHAKE-256 and SHA-256 of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


def entropy(label: str) -> Callable[[int], bytes]:
    """Call k gives SHAKE-256(label, k)."""
    calls = 0

    def draw(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{label}/{calls}".encode()).digest(count)

    return draw


def fixed(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()
