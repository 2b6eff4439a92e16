"""Ed25519 signatures (RFC 8032) over ``encode(tag, *parts)``.

They are checked by libsodium, which takes half as long as OpenSSL and gives Python's lock back. It
refuses keys of small order, under which one signature, that anybody can make, is everybody's; and
a second spelling of a key or of a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.tags import Tag, encode
from auror.errors import AuthenticationFailed

SIGNATURE_BYTES = 64
VERIFY_KEY_BYTES = 32


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
    try:
        _checking[0](verify_key, signature, encode(tag.value, *parts))
    except BadSignatureError as error:
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
    if len(verify_key) != VERIFY_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignatureError("another size")  # libsodium reads as many, whatever is there
    crypto_sign_open(signature + content, verify_key)


_checking: list[Callable[[bytes, bytes, bytes], None]] = [_check]
