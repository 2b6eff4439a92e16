"""Dealing secrets to holders: Shamir shares, sealed per holder, with salted commitments.

The commitments let the server name a holder that opens another value than it was dealt and a
dealer whose shares do not restore the secret it committed to (docs/protocol.md steps 1.1–1.4).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from auror.crypto import aead, shamir
from auror.crypto.entropy import SECRET_BYTES, Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.tags import Encoded, Tag, encode, number
from auror.errors import AuthenticationFailed
from auror.ids import DIGEST_BYTES, ClientId, Digest
from auror.secagg.graph import share_point
from auror.secagg.instance import SecretKind

SALT_BYTES = 16
_NUMBER, _DIGEST = number(8), number(DIGEST_BYTES)
"""What ``encode`` writes before a number and before a digest."""
_OPENED_BYTES = shamir.SHARE_BYTES + SALT_BYTES


@dataclass(frozen=True, slots=True)
class Share:
    """One holder's point of one secret, with the salt of its commitment."""

    value: bytes
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.value) != shamir.SHARE_BYTES or len(self.salt) != SALT_BYTES:
            raise ValueError(
                f"a share has {_OPENED_BYTES} bytes: {shamir.SHARE_BYTES} of value and"
                f" {SALT_BYTES} of salt"
            )

    def __repr__(self) -> str:
        return "Share(<redacted>)"

    def to_bytes(self) -> bytes:
        return self.value + self.salt

    @classmethod
    def from_bytes(cls, raw: bytes) -> Share:
        return cls(raw[: shamir.SHARE_BYTES], raw[shamir.SHARE_BYTES :])


@dataclass(frozen=True)
class Dealing:
    """What a dealer sends in phase 1."""

    ciphertexts: Mapping[ClientId, bytes]
    """Per holder: its shares, sealed (32-byte keys bound to T, dealer and holder)."""
    share_commitments: Mapping[ClientId, tuple[Digest, ...]]
    """Per holder, one salted hash per secret kind, in the order of ``kinds``."""
    secret_commitments: tuple[Digest, ...]
    """One hash per secret kind; secrets are uniform 256-bit values and need no salt."""

    def __post_init__(self) -> None:
        rows = (self.secret_commitments, *self.share_commitments.values())
        if any(set(map(len, row)) - {DIGEST_BYTES} for row in rows):
            raise ValueError(f"a commitment has {DIGEST_BYTES} bytes")

    def signed_parts(self) -> tuple[bytes, ...]:
        """Commitments and envelopes as the dealer signs them: a liar cannot disown them later.
        Its own row has no envelope.

        Of every row: its holder, its commitments and the envelope's SHA-256. All are encoded here:
        a server checks a thousand of these, and every part is a number or a digest.
        """
        envelope, hashed = self.ciphertexts.get, hashlib.sha256
        laid = [_digests(self.secret_commitments)]
        for holder, row in sorted(self.share_commitments.items()):
            sealed = hashed(envelope(holder, b"")).digest()
            laid += (_NUMBER, number(holder), _digests(row), _DIGEST, sealed)
        return (Encoded(b"".join(laid)),)


def _digests(row: tuple[Digest, ...]) -> bytes:
    return _DIGEST + _DIGEST.join(row) if row else b""


def deal(
    transcript: Digest,
    dealer: ClientId,
    secrets: Mapping[SecretKind, Secret],
    holders: tuple[ClientId, ...],
    threshold: int,
    encryption_key: KeyPair,
    holder_keys: Mapping[ClientId, bytes],
    entropy: Entropy,
) -> tuple[Dealing, dict[SecretKind, Share]]:
    """Share ``secrets`` among ``holders`` (the dealer among them).

    Returns the message and the dealer's own shares, which need no envelope.
    """
    kinds = sorted(secrets, key=lambda kind: kind.value)
    points = [share_point(holder) for holder in holders]
    values = {kind: shamir.split(secrets[kind], threshold, points, entropy) for kind in kinds}
    shares = {
        holder: {
            kind: Share(values[kind][share_point(holder)], entropy(SALT_BYTES)) for kind in kinds
        }
        for holder in holders
    }
    ciphertexts = {}
    for holder in holders:
        if holder != dealer:
            key = _envelope_key(encryption_key, holder_keys[holder], transcript, dealer, holder)
            plaintext = b"".join(shares[holder][kind].to_bytes() for kind in kinds)
            ciphertexts[holder] = aead.seal(key, plaintext, transcript)
    committed = commitments_under(transcript)
    commitments = {
        holder: tuple(
            committed.of_share(dealer, holder, kind, shares[holder][kind]) for kind in kinds
        )
        for holder in holders
    }
    secret_commitments = tuple(committed.of_secret(dealer, kind, secrets[kind]) for kind in kinds)
    return Dealing(ciphertexts, commitments, secret_commitments), shares[dealer]


def receive(
    transcript: Digest,
    dealer: ClientId,
    holder: ClientId,
    kinds: tuple[SecretKind, ...],
    ciphertext: bytes,
    commitments: tuple[Digest, ...],
    encryption_key: KeyPair,
    dealer_key: bytes,
) -> dict[SecretKind, Share]:
    """Open an envelope and check the shares against what the dealer committed to.

    Raises:
        AuthenticationFailed: forged envelope, wrong size, or commitments that do not match.
    """
    key = _envelope_key(encryption_key, dealer_key, transcript, dealer, holder)
    plaintext = aead.open_sealed(key, ciphertext, transcript)
    if len(plaintext) != len(kinds) * _OPENED_BYTES or len(commitments) != len(kinds):
        raise AuthenticationFailed(f"client {dealer} dealt a malformed envelope")
    shares = {
        kind: Share.from_bytes(plaintext[i * _OPENED_BYTES : (i + 1) * _OPENED_BYTES])
        for i, kind in enumerate(kinds)
    }
    committed = commitments_under(transcript)
    for kind, expected in zip(kinds, commitments, strict=True):
        if committed.of_share(dealer, holder, kind, shares[kind]) != expected:
            raise AuthenticationFailed(f"client {dealer} dealt shares it did not commit to")
    return shares


class Commitments:
    """SHA-256 over ``encode(tag, T, dealer, …)``. Tag and T are hashed once, and the rest, whose
    sizes are fixed, is laid out in one step: a server checks tens of thousands in a round."""

    __slots__ = ("_secret", "_share")

    _SHARE = struct.Struct(f"<6QQ{SALT_BYTES}sQ{shamir.SHARE_BYTES}s")
    _SECRET = struct.Struct(f"<4QQ{SECRET_BYTES}s")
    """Every number, and salt, value or secret, with its length before it."""

    def __init__(self, transcript: Digest) -> None:
        self._share = hashlib.sha256(encode(Tag.SHARE_COMMITMENT.value, transcript))
        self._secret = hashlib.sha256(encode(Tag.SECRET_COMMITMENT.value, transcript))

    def of_share(
        self, dealer: ClientId, holder: ClientId, kind: SecretKind, share: Share
    ) -> Digest:
        """Over dealer, holder, kind, salt and value."""
        return self.of_shares(holder, kind, {dealer: share})[0]

    def of_shares(
        self, holder: ClientId, kind: SecretKind, shares: Mapping[ClientId, Share]
    ) -> list[Digest]:
        """As :meth:`of_share`, of several dealers' shares of one kind, in order."""
        begun, pack, number_of_kind = self._share, self._SHARE.pack, kind.value
        digests = []
        for dealer, share in shares.items():
            hashed = begun.copy()
            hashed.update(
                pack(
                    8, dealer, 8, holder, 8, number_of_kind, SALT_BYTES, share.salt,
                    shamir.SHARE_BYTES, share.value,
                )
            )  # fmt: skip
            digests.append(Digest(hashed.digest()))
        return digests

    def of_secret(self, dealer: ClientId, kind: SecretKind, secret: Secret) -> Digest:
        """Over dealer, kind and the secret itself, which is uniform and needs no salt."""
        rest = self._SECRET.pack(8, dealer, 8, kind.value, SECRET_BYTES, secret.reveal())
        hashed = self._secret.copy()
        hashed.update(rest)
        return Digest(hashed.digest())


commitments_under = lru_cache(maxsize=4)(Commitments)
"""Of T: a client opens the envelopes of one round, one by one."""


def _envelope_key(
    own: KeyPair, peer_public: bytes, transcript: Digest, dealer: ClientId, holder: ClientId
) -> Secret:
    # The ordered pair makes i→j and j→i two keys, so each encrypts exactly one message.
    return own.shared_key(
        peer_public, Tag.SHARE_ENCRYPTION, transcript, number(dealer), number(holder)
    )
