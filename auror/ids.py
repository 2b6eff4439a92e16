"""Names that cross module borders. A naked int or bytes never does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

ClientId = NewType("ClientId", int)
"""Position of a client in the operator's roster, 0 ... n-1."""

GroupIndex = NewType("GroupIndex", int)
"""Position of a group within one round's partition of the cohort."""

Digest = NewType("Digest", bytes)
"""A SHA-256 value, 32 bytes."""

DIGEST_BYTES = 32
ROUND_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True, order=True)
class RoundId:
    """A round is named by a counter that only grows and by 128 fresh random bits.

    The counter lets a client refuse replays after a restart; the nonce keeps two rounds
    of a server that lost its counter apart (docs/protocol.md, section 1).
    """

    counter: int
    nonce: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.counter < 2**64:
            raise ValueError("round counter must fit 64 bits")
        if len(self.nonce) != ROUND_NONCE_BYTES:
            raise ValueError(f"round nonce must have {ROUND_NONCE_BYTES} bytes")

    def __str__(self) -> str:
        return f"{self.counter}-{self.nonce.hex()[:8]}"


NO_ROUND = RoundId(0, bytes(ROUND_NONCE_BYTES))
"""Heads a message that belongs to no round: the final model."""
