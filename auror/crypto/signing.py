"""Ed25519 signatures (RFC 8032) over ``encode(tag, *parts)``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.tags import Tag, encode
from auror.errors import AuthenticationFailed

SIGNATURE_BYTES = 64
VERIFY_KEY_BYTES = 32
_P = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _ORDER_8, _P - _ORDER_8, _P - 1, _P, _P + 1})
"""y of the keys under which one signature, that anybody can make, verifies for every message, or
for one of a few; also as they can be written unreduced."""


class SigningKey:
    """A long-lived protocol identity; its verify key stands in the roster."""

    __slots__ = ("_private", "_secret", "verify_key")

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._private = Ed25519PrivateKey.from_private_bytes(secret.reveal())
        self.verify_key = self._private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )

    @classmethod
    def draw(cls, entropy: Entropy) -> SigningKey:
        return cls(Secret.draw(entropy))

    def sign(self, tag: Tag, *parts: bytes) -> bytes:
        """A 64-byte signature over the tagged parts."""
        return self._private.sign(encode(tag.value, *parts))

    def to_pem(self) -> bytes:
        """PKCS#8, unencrypted: for a file of mode 0600."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Raises ValueError when ``pem`` is not an unencrypted Ed25519 key."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 key")  # noqa: TRY004 one error for any bad PEM
        raw = key.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        return cls(Secret(raw))

    def __repr__(self) -> str:
        return f"SigningKey(verify_key={self.verify_key.hex()[:16]}…, private=<redacted>)"


def verify(verify_key: bytes, signature: bytes, tag: Tag, *parts: bytes) -> None:
    """Check one signature.

    Raises:
        AuthenticationFailed: the key is malformed, or a point of small order, which has no owner;
            or the signature is not its owner's.
    """
    if int.from_bytes(verify_key, "little") & (2**255 - 1) in _SMALL_ORDER:  # x's sign is free
        raise AuthenticationFailed("the key is a point of small order")
    try:
        _checking[0](verify_key, signature, encode(tag.value, *parts))
    except (InvalidSignature, ValueError) as error:
        raise AuthenticationFailed(f"signature under {tag.name} does not verify") from error


@contextmanager
def verified_once(most: int) -> Iterator[None]:
    """Meanwhile this process verifies equal bytes under one key once: many clients of a process
    are shown the same signatures. Only those that verify are remembered, the latest ``most``."""
    before, _checking[0] = _checking[0], lru_cache(most)(_check)
    try:
        yield
    finally:
        _checking[0] = before


def _check(verify_key: bytes, signature: bytes, content: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(verify_key).verify(signature, content)


_checking: list[Callable[[bytes, bytes, bytes], None]] = [_check]
