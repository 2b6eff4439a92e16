"""A site's own keys, and the request with which it asks to become a member.

The keys never leave the folder in which they are made. The request holds their public halves and a
signature of each over all of it, so nobody can ask with a key that is not its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auror.crypto.entropy import Entropy, system_entropy
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode
from auror.deployment.absent import REQUEST_FILE
from auror.deployment.canonical import canonical_json, parse_canonical, read_small
from auror.deployment.certs import write_new
from auror.deployment.credentials import IDENTITY_FILE, KEY_FILE, key_digest
from auror.deployment.issuing import private_pem
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.round.roster import Keys

LONGEST_NAME = 64
_KINDS = {
    "name": str,
    "identity": str,
    "tls_key": str,
    "identity_signature": str,
    "tls_signature": str,
}


@dataclass(frozen=True)
class JoinRequest:
    """Public: who asks, and with which keys."""

    name: str
    """What the operator calls the site; no other member sees it."""
    identity: bytes
    """Its Ed25519 key, 32 bytes."""
    tls_key: ec.EllipticCurvePublicKey
    """P-256."""
    raw: bytes
    """The file."""

    @property
    def keys(self) -> Keys:
        """As the policy will name them."""
        return Keys(self.identity, key_digest(self.tls_key))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file, to compare over another channel."""
        return hashlib.sha256(self.raw).hexdigest()


def make_request(folder: Path, name: str, entropy: Entropy = system_entropy) -> JoinRequest:
    """Make both keys and ``request.json`` in the new folder ``folder``.

    Raises:
        ConfigError: a name that cannot be used.
        CredentialsError: ``folder`` holds something, or cannot be written.
    """
    _check_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CredentialsError(
            f"{folder} is not empty: choose a new folder, keys are never overwritten"
        )
    identity, tls = SigningKey.draw(entropy), ec.generate_private_key(ec.SECP256R1())
    parts = _signed_parts(name, identity.verify_key, _der(tls.public_key()))
    signature = tls.sign(encode(Tag.JOIN_REQUEST.value, *parts), ec.ECDSA(hashes.SHA256()))
    content: dict[str, str | int] = {
        "name": name,
        "identity": identity.verify_key.hex(),
        "tls_key": _der(tls.public_key()).hex(),
        "identity_signature": identity.sign(Tag.JOIN_REQUEST, *parts).hex(),
        "tls_signature": signature.hex(),
    }
    raw = canonical_json(content)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        private = {KEY_FILE: private_pem(tls), IDENTITY_FILE: identity.to_pem()}
        write_new(folder, {REQUEST_FILE: raw}, private)
    except OSError as error:
        raise CredentialsError(
            f"cannot write {error.filename or folder}: {error.strerror}; mend that or choose"
            " another folder"
        ) from error
    return JoinRequest(name, identity.verify_key, tls.public_key(), raw)


def read_request(path: Path) -> JoinRequest:
    """Of a site, both of its signatures verified.

    Raises:
        CredentialsError: it is no request, or was changed since it was made.
    """
    raw = read_small(path, "`auror enrol`")
    try:
        return parse_request(raw)
    except (ValueError, ConfigError, AuthenticationFailed) as error:
        raise CredentialsError(
            f"{path} is no request, or was changed on its way ({error}): let the site send the"
            f" {REQUEST_FILE} that `auror enrol` made once more"
        ) from error


def parse_request(raw: bytes) -> JoinRequest:
    """Raises ValueError, ConfigError or AuthenticationFailed: it is none."""
    found = parse_canonical(raw, _KINDS)
    name, identity = str(found["name"]), bytes.fromhex(str(found["identity"]))
    der = bytes.fromhex(str(found["tls_key"]))
    _check_name(name)
    key = serialization.load_der_public_key(der)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the TLS key is not on P-256")  # noqa: TRY004 - one error for any key
    parts = _signed_parts(name, identity, der)
    verify(identity, bytes.fromhex(str(found["identity_signature"])), Tag.JOIN_REQUEST, *parts)
    signature = bytes.fromhex(str(found["tls_signature"]))
    signed = encode(Tag.JOIN_REQUEST.value, *parts)
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise AuthenticationFailed("the TLS key did not sign it") from error
    return JoinRequest(name, identity, key, raw)


def _signed_parts(name: str, identity: bytes, tls_key: bytes) -> tuple[bytes, bytes, bytes]:
    return name.encode(), identity, tls_key


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ConfigError(
            f'name = "{name[:LONGEST_NAME]}": give 1 … {LONGEST_NAME} printable characters, without'
            " blanks around them"
        )


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
