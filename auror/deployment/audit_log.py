"""The audit's chain: entries, each hashed with all before it and signed by the server.

The server signs with the key of its TLS certificate, which the deployment's CA issued
(docs/adr/0025).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auror.errors import AuthenticationFailed

FIRST_HEAD = hashlib.sha256(b"auror/v1/audit").hexdigest()
"""What the first entry is chained to."""
_SIGNED = b"auror/v1/audit-head"
_ALGORITHM = ec.ECDSA(hashes.SHA256())

START, ROUND, END = "start", "round", "end"
"""Kinds of entries: a server began to write, a round was closed, the training was finished."""


@dataclass(frozen=True)
class AuditEntry:
    """One row of the table ``audit``."""

    number: int
    text: str
    head: str
    signature: bytes

    @property
    def content(self) -> dict[str, Any]:
        """Raises ValueError when it is not a JSON object."""
        found = json.loads(self.text)
        if not isinstance(found, dict):
            raise ValueError("not an object")  # noqa: TRY004 one error for any bad text
        return found


def head_after(before: str, number: int, text: str) -> str:
    """The chain's head with entry ``number`` on it, in hexadecimal."""
    return hashlib.sha256(f"{before}:{number}:".encode() + text.encode()).hexdigest()


class AuditSigner:
    """The server's identity, for signing heads."""

    def __init__(self, key: bytes) -> None:
        """``key``: PEM, unencrypted, on a NIST curve."""
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("the server's key is not on a NIST curve")  # noqa: TRY004
        self._key = loaded

    def sign(self, head: str) -> bytes:
        """A signature over ``head``, DER."""
        return self._key.sign(_SIGNED + head.encode(), _ALGORITHM)

    def __repr__(self) -> str:
        return "AuditSigner(<redacted>)"


def check_head(certificate: bytes, head: str, signature: bytes) -> None:
    """Raises AuthenticationFailed when the owner of ``certificate`` (PEM) did not sign ``head``."""
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("not on a NIST curve")  # noqa: TRY004
        key.verify(signature, _SIGNED + head.encode(), _ALGORITHM)
    except (InvalidSignature, ValueError) as error:
        raise AuthenticationFailed("the server's signature does not verify") from error


def check_issued(certificate: bytes, ca: bytes) -> None:
    """Raises AuthenticationFailed when ``ca`` did not issue ``certificate``; both PEM."""
    try:
        own, issuer = (x509.load_pem_x509_certificate(pem) for pem in (certificate, ca))
        own.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise AuthenticationFailed("the deployment's CA did not issue it") from error
