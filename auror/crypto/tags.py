"""Every domain-separation tag of the protocol, and the one canonical encoding.

A tag names what a hash, key or signature is for; no two uses share one. Values are joined by
:func:`encode`, which prefixes each part with its length, so no two lists of parts encode alike.
"""

from __future__ import annotations

import enum
import hashlib

from auror.ids import Digest

_LENGTH_BYTES = 8


class Tag(enum.Enum):
    """What a derived value is for. The text is part of the protocol (docs/protocol.md §2)."""

    ROUND = b"auror/v1/round-description"
    POLICY = b"auror/v1/policy"
    POLICY_DRAFT = b"auror/v1/policy-draft"
    JOIN_REQUEST = b"auror/v1/join-request"
    JOIN_BUNDLE = b"auror/v1/join-bundle"
    SERVER_REQUEST = b"auror/v1/server-request"
    TASK = b"auror/v1/task"
    MODEL = b"auror/v1/model"
    PLAN = b"auror/v1/statistics-plan"
    ADVERTISE = b"auror/v1/advertise"
    SHARE_ENCRYPTION = b"auror/v1/share-encryption"
    SHARE_COMMITMENT = b"auror/v1/share-commitment"
    SECRET_COMMITMENT = b"auror/v1/secret-commitment"
    DEALING = b"auror/v1/dealing"
    UPDATE_SELF_MASK = b"auror/v1/update/self-mask"
    UPDATE_PAIRWISE_MASK = b"auror/v1/update/pairwise-mask"
    STATISTICS_PAIRWISE_MASK = b"auror/v1/statistics/pairwise-mask"
    RECEIPT = b"auror/v1/receipt"
    CLIENTS = b"auror/v1/clients"
    KEYS = b"auror/v1/keys"
    UPLOAD = b"auror/v1/upload"
    UPLOADS = b"auror/v1/uploads"
    CONSISTENCY = b"auror/v1/consistency"
    PUBLIC_SEED = b"auror/v1/public-seed"
    GROUPS = b"auror/v1/groups"
    CHALLENGE = b"auror/v1/challenge-sketch"
    SESSION = b"auror/v1/session-sketch"
    GRAPH = b"auror/v1/graph"
    COMMITTEE = b"auror/v1/committee"
    VIEW = b"auror/v1/view"
    VIEW_SIGNATURE = b"auror/v1/view-signature"
    AGREEMENT = b"auror/v1/agreement"
    SKETCH = b"auror/v1/count-sketch"
    WATCH = b"auror/v1/watch"
    MERKLE_LEAF = b"auror/v1/merkle-leaf"
    MERKLE_NODE = b"auror/v1/merkle-node"
    MERKLE_ROOT = b"auror/v1/merkle-root"


class Encoded(bytes):
    """The encoding of some parts, made once: :func:`encode` takes it for those parts, not for one.

    The encoding of a list is that of its beginning followed by that of its rest, so
    ``encode(a, Encoded.of(b, c), d) == encode(a, b, c, d)``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, *parts: bytes) -> Encoded:
        return cls(encode(*parts))


def encode(*parts: bytes) -> bytes:
    """Injective encoding of a list of byte strings: each with its 64-bit length before it."""
    return b"".join(
        [
            part if type(part) is Encoded else len(part).to_bytes(_LENGTH_BYTES, "little") + part
            for part in parts
        ]
    )


def number(value: int) -> bytes:
    """A non-negative integer below 2^64 as eight little-endian bytes."""
    return value.to_bytes(_LENGTH_BYTES, "little")


def tagged_hash(tag: Tag, *parts: bytes) -> Digest:
    """SHA-256 over ``encode(tag, *parts)``; the last part may be megabytes and is not copied."""
    *few, last = (tag.value, *parts)
    hashed = hashlib.sha256(encode(*few))
    if type(last) is not Encoded:
        hashed.update(len(last).to_bytes(_LENGTH_BYTES, "little"))
    hashed.update(last)
    return Digest(hashed.digest())
