"""The largest size of every message kind, so that a header can be refused before its body."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass

from auror.wire.fields import WireError
from auror.wire.v1 import transport_pb2 as pb

CHUNK_BYTES = 64 * 1024
"""Small enough that one arrives within ``auror.wire.alive.SILENT_SECONDS`` over a slow link."""
PLAN_PARTS = 16

_ENTRY = 16  # tags, lengths and the client id around one entry of a map
_FIXED = 1024  # everything of a message that does not grow with n, d or k
_ENVELOPE = 3 * (33 + 16) + 16 + 3 * 32  # three sealed shares, the tag, three commitments
_KEYS = 4 * 32 + 64 + 3 * _ENTRY + 32  # signed keys of one client, and a hash of a proof
UPDATE_WORD = 4
POLICY_BYTES = 8 << 20
"""Of a policy's file: it may have more members than the one that is held, so n bounds nothing."""
_STATISTIC_WORD = 8


class Kind(enum.Enum):
    """What a frame header announces. The name is also the field of the message's ``oneof``."""

    ADVERTISED_KEYS = pb.MESSAGE_KIND_ADVERTISED_KEYS
    DEALT_SHARES = pb.MESSAGE_KIND_DEALT_SHARES
    RECEIPT = pb.MESSAGE_KIND_RECEIPT
    UPLOAD = pb.MESSAGE_KIND_UPLOAD
    CONSISTENCY = pb.MESSAGE_KIND_CONSISTENCY
    RANDOMNESS_SHARES = pb.MESSAGE_KIND_RANDOMNESS_SHARES
    MASKED_STATISTICS = pb.MESSAGE_KIND_MASKED_STATISTICS
    AGREEMENT = pb.MESSAGE_KIND_AGREEMENT
    UPDATE_SHARES = pb.MESSAGE_KIND_UPDATE_SHARES
    CROSS_MASKS = pb.MESSAGE_KIND_CROSS_MASKS
    WITHDRAW = pb.MESSAGE_KIND_WITHDRAW
    ROUND_START = pb.MESSAGE_KIND_ROUND_START
    KEY_LIST = pb.MESSAGE_KIND_KEY_LIST
    SHARE_DELIVERY = pb.MESSAGE_KIND_SHARE_DELIVERY
    DEALER_LIST = pb.MESSAGE_KIND_DEALER_LIST
    UPLOAD_LIST = pb.MESSAGE_KIND_UPLOAD_LIST
    CONSISTENCY_LIST = pb.MESSAGE_KIND_CONSISTENCY_LIST
    RANDOMNESS_LIST = pb.MESSAGE_KIND_RANDOMNESS_LIST
    ACCEPTED_SET = pb.MESSAGE_KIND_ACCEPTED_SET
    AGREEMENT_LIST = pb.MESSAGE_KIND_AGREEMENT_LIST
    BINDING_FAILED = pb.MESSAGE_KIND_BINDING_FAILED
    ROUND_END = pb.MESSAGE_KIND_ROUND_END
    FINAL_MODEL = pb.MESSAGE_KIND_FINAL_MODEL
    EXCLUSION = pb.MESSAGE_KIND_EXCLUSION
    NEW_POLICY = pb.MESSAGE_KIND_NEW_POLICY

    @property
    def field(self) -> str:
        return self.name.lower()

    @property
    def from_client(self) -> bool:
        return self.value < pb.MESSAGE_KIND_ROUND_START


class ModelTooLarge(WireError):
    """A model with more entries than this client accepts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the messages of a deployment."""

    clients: int
    """One more than the largest number of a client."""
    dim: int
    """d: entries of an update."""
    statistics: int
    """k: rows of the statistics plan, challenge included."""

    def largest(self, kind: Kind) -> int:
        """Bytes that a message of ``kind`` can have at most."""
        return _largest(self)[kind]

    def check_size(self, kind: Kind, size: int) -> None:
        """Raises WireError when no message of ``kind`` can have ``size`` bytes."""
        if not 0 < size <= self.largest(kind):
            models = (Kind.ROUND_START, Kind.FINAL_MODEL)
            fault = ModelTooLarge if kind in models and size else WireError
            raise fault(f"{kind.field}: {size} bytes, at most {self.largest(kind)} allowed")


@functools.lru_cache(maxsize=8)
def _largest(limits: Limits) -> Mapping[Kind, int]:
    """Every message of every client asks for its bound."""
    n, dim = limits.clients, limits.dim
    content = {
        Kind.ADVERTISED_KEYS: 0,
        Kind.DEALT_SHARES: n * (_ENVELOPE + 2 * _ENTRY),
        Kind.RECEIPT: n * _ENTRY,
        Kind.UPLOAD: dim * UPDATE_WORD,
        Kind.CONSISTENCY: 0,
        Kind.RANDOMNESS_SHARES: n * (49 + _ENTRY),
        Kind.MASKED_STATISTICS: limits.statistics * _STATISTIC_WORD,
        Kind.AGREEMENT: 0,
        Kind.UPDATE_SHARES: n * (49 + _ENTRY),
        Kind.WITHDRAW: 0,
        Kind.CROSS_MASKS: n * (limits.statistics * UPDATE_WORD + _ENTRY),
        # the model, and class means of up to d int32
        Kind.ROUND_START: dim * (UPDATE_WORD + 4) + n * _ENTRY + 4096,
        Kind.KEY_LIST: n * (_KEYS + 32 + _ENTRY),  # with as many commitments and hashes
        Kind.SHARE_DELIVERY: n * (_ENVELOPE + 3 * _ENTRY),
        Kind.DEALER_LIST: n * _ENTRY,
        Kind.UPLOAD_LIST: n * _ENTRY,
        Kind.CONSISTENCY_LIST: n * (64 + _ENTRY),
        Kind.RANDOMNESS_LIST: n * (_KEYS + 32 + _ENTRY),
        Kind.ACCEPTED_SET: n * (64 + 2 * _ENTRY),
        Kind.AGREEMENT_LIST: n * (64 + _ENTRY),
        Kind.BINDING_FAILED: 0,
        Kind.ROUND_END: n * 4 * _ENTRY,
        Kind.FINAL_MODEL: dim * UPDATE_WORD,
        Kind.EXCLUSION: 0,
        Kind.NEW_POLICY: POLICY_BYTES,
    }
    return {kind: _FIXED + size for kind, size in content.items()}
