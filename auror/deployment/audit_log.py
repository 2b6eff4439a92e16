"""The audit's chain: entries, each hashed with all before it and signed by the server.

The server signs with the key of its TLS certificate, which the deployment's CA issued
(docs/adr/0025).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from auror.errors import AuthenticationFailed, CredentialsError

FIRST_HEAD = hashlib.sha256(b"auror/v1/audit").hexdigest()
"""What the first entry is chained to."""
_MOST_TEXT = 1 << 28
"""Bytes of an entry's text: what is read was not always written by a server."""
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


def packed(text: str) -> bytes:
    """``text`` as ``audit.entry`` has it: most of it are keys and signatures in hexadecimal."""
    return zlib.compress(text.encode())


def unpacked(entry: bytes) -> str:
    """The inverse of :func:`packed`; "" when it is not from there, which no head stands for."""
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(entry, _MOST_TEXT).decode()
        return text if stream.eof and not stream.unused_data else ""  # nothing rides along
    except (zlib.error, UnicodeDecodeError, TypeError):
        return ""


def head_after(before: str, number: int, text: str) -> str:
    """The chain's head with entry ``number`` on it, in hexadecimal."""
    return hashlib.sha256(f"{before}:{number}:".encode() + text.encode()).hexdigest()


class AuditSigner:
    """The server's identity, for signing heads."""

    def __init__(self, key: bytes) -> None:
        """``key``: PEM, unencrypted.

        Raises:
            CredentialsError: it is no ECDSA key.
        """
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise CredentialsError(
                "key.pem: the audit is signed with ECDSA, and this is another kind of key; use the"
                " one that `auror certs` made"
            )
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
    """Raises AuthenticationFailed when ``ca`` did not issue ``certificate`` for a server; both PEM.

    Clients have certificates of the same CA, for clients."""
    try:
        own, issuer = (x509.load_pem_x509_certificate(pem) for pem in (certificate, ca))
        own.verify_directly_issued_by(issuer)
        usages = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise AuthenticationFailed("the deployment's CA did not issue it") from error
    if ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        raise AuthenticationFailed("the deployment's CA issued it for a client")
