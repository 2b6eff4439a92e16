"""AES-256-GCM under keys that encrypt exactly one message, hence a constant nonce."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auror.crypto.entropy import Secret
from auror.errors import AuthenticationFailed

OVERHEAD_BYTES = 16
_ONCE_ONLY_NONCE = bytes(12)


def seal(once_only_key: Secret, plaintext: bytes, associated: bytes) -> bytes:
    """Encrypt and authenticate; the caller derives a new key for every message."""
    return AESGCM(once_only_key.reveal()).encrypt(_ONCE_ONLY_NONCE, plaintext, associated)


def open_sealed(once_only_key: Secret, ciphertext: bytes, associated: bytes) -> bytes:
    """Verify and decrypt.

    Raises:
        AuthenticationFailed: wrong key, changed ciphertext or other associated data.
    """
    try:
        return AESGCM(once_only_key.reveal()).decrypt(_ONCE_ONLY_NONCE, ciphertext, associated)
    except InvalidTag as error:
        raise AuthenticationFailed("ciphertext does not verify") from error
