"""Keys that are made where they are used, and the requests that are made with them.

A site asks to become a member, a server's host to be the server. The keys never leave the folder in
which they are made. A request holds their public halves and a signature of each over all of it, so
nobody can ask with a key that is not its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auror.crypto.entropy import Entropy, system_entropy
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode
from auror.deployment.canonical import canonical_json, parse_canonical, read_small
from auror.deployment.certs import write_new
from auror.deployment.credential_files import KEY_FILE, REQUEST_FILE
from auror.deployment.credentials import IDENTITY_FILE, key_digest
from auror.deployment.issuing import private_pem
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.round.roster import Keys

LONGEST_NAME = 64
_LARGEST = 1 << 13
"""Bytes of a request: keys, signatures and a name."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""What Python calls printable and terminals show as nothing or a blank (Unicode's
Default_Ignorable_Code_Point, and the braille blank)."""
_KINDS = {
    "name": str,
    "identity": str,
    "tls_key": str,
    "identity_signature": str,
    "tls_signature": str,
}
_SERVERS_KINDS = {"tls_key": str, "tls_signature": str}


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
        return fingerprint_of(self.raw)


@dataclass(frozen=True)
class ServerRequest:
    """Public: the key of who asks to be the server. Under which names clients reach it is the
    operator's to say, so a request names none."""

    tls_key: ec.EllipticCurvePublicKey
    """P-256."""
    raw: bytes
    """The file."""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.raw)


def fingerprint_of(raw: bytes) -> str:
    """SHA-256 of a request's file (hex), to compare over another channel."""
    return hashlib.sha256(raw).hexdigest()


def make_request(folder: Path, name: str, entropy: Entropy = system_entropy) -> JoinRequest:
    """Make both keys and ``request.json`` in the new folder ``folder``.

    Raises:
        ConfigError: a name that cannot be used.
        CredentialsError: ``folder`` holds something, or cannot be written.
    """
    _check_name(name)
    _check_new(folder)
    identity, tls = SigningKey.draw(entropy), ec.generate_private_key(ec.SECP256R1())
    parts = _signed_parts(name, identity.verify_key, _der(tls.public_key()))
    content: dict[str, str | int] = {
        "name": name,
        "identity": identity.verify_key.hex(),
        "tls_key": _der(tls.public_key()).hex(),
        "identity_signature": identity.sign(Tag.JOIN_REQUEST, *parts).hex(),
        "tls_signature": _signed_with(tls, Tag.JOIN_REQUEST, *parts).hex(),
    }
    raw = canonical_json(content)
    _write(folder, raw, {KEY_FILE: private_pem(tls), IDENTITY_FILE: identity.to_pem()})
    return JoinRequest(name, identity.verify_key, tls.public_key(), raw)


def make_server_request(folder: Path) -> ServerRequest:
    """Make the server's key and ``request.json`` in the new folder ``folder``.

    Raises:
        CredentialsError: ``folder`` holds something, or cannot be written.
    """
    _check_new(folder)
    tls = ec.generate_private_key(ec.SECP256R1())
    der = _der(tls.public_key())
    signature = _signed_with(tls, Tag.SERVER_REQUEST, der)
    raw = canonical_json({"tls_key": der.hex(), "tls_signature": signature.hex()})
    _write(folder, raw, {KEY_FILE: private_pem(tls)})
    return ServerRequest(tls.public_key(), raw)


def read_request(path: Path) -> JoinRequest:
    """Of a site, both of its signatures verified.

    Raises:
        ConfigError: it is a server's.
        CredentialsError: it is no request, or was changed since it was made.
    """
    raw = read_small(path, "`auror enrol`", _LARGEST)
    try:
        return parse_request(raw)
    except (ValueError, ConfigError, AuthenticationFailed) as error:
        if _is(raw, _SERVERS_KINDS):
            raise ConfigError(
                f"{path} asks to be the server, not a member: if your server's host sent it,"
                f" `auror approve DIR --server-request {path}`"
            ) from error
        raise CredentialsError(
            f"{path} is no request, or was changed on its way ({error}): let the site send the"
            f" {REQUEST_FILE} that `auror enrol` made once more"
        ) from error


def read_server_request(path: Path) -> ServerRequest:
    """Of a server's host, its signature verified.

    Raises:
        ConfigError: it is a site's.
        CredentialsError: it is no request, or was changed since it was made.
    """
    raw = read_small(path, "`auror enrol --server`", _LARGEST)
    try:
        return parse_server_request(raw)
    except (ValueError, AuthenticationFailed) as error:
        if _is(raw, _KINDS):
            raise ConfigError(
                f"{path} asks to be a member, not the server: `auror approve DIR {path}`"
            ) from error
        raise CredentialsError(
            f"{path} is no server's request, or was changed on its way ({error}): let the server's"
            f" host send the {REQUEST_FILE} that `auror enrol --server` made once more"
        ) from error


def parse_request(raw: bytes) -> JoinRequest:
    """Raises ValueError, ConfigError or AuthenticationFailed: it is none."""
    found = parse_canonical(raw, _KINDS)
    name, identity = str(found["name"]), bytes.fromhex(str(found["identity"]))
    der = bytes.fromhex(str(found["tls_key"]))
    _check_name(name)
    parts = _signed_parts(name, identity, der)
    verify(identity, bytes.fromhex(str(found["identity_signature"])), Tag.JOIN_REQUEST, *parts)
    signature = bytes.fromhex(str(found["tls_signature"]))
    return JoinRequest(name, identity, _signer(der, signature, Tag.JOIN_REQUEST, *parts), raw)


def parse_server_request(raw: bytes) -> ServerRequest:
    """Raises ValueError or AuthenticationFailed: it is none."""
    found = parse_canonical(raw, _SERVERS_KINDS)
    der = bytes.fromhex(str(found["tls_key"]))
    signature = bytes.fromhex(str(found["tls_signature"]))
    return ServerRequest(_signer(der, signature, Tag.SERVER_REQUEST, der), raw)


def _is(raw: bytes, kinds: Mapping[str, type]) -> bool:
    try:
        parse_canonical(raw, kinds)
    except ValueError:
        return False
    return True


def _signed_with(key: ec.EllipticCurvePrivateKey, tag: Tag, *parts: bytes) -> bytes:
    return key.sign(encode(tag.value, *parts), ec.ECDSA(hashes.SHA256()))


def _signer(der: bytes, signature: bytes, tag: Tag, *parts: bytes) -> ec.EllipticCurvePublicKey:
    """The TLS key ``der``, which signed ``parts``."""
    key = serialization.load_der_public_key(der)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the TLS key is not on P-256")  # noqa: TRY004 - one error for any key
    try:
        key.verify(signature, encode(tag.value, *parts), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise AuthenticationFailed("the TLS key did not sign it") from error
    return key


def _check_new(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CredentialsError(
            f"{folder} is not empty: choose a new folder, keys are never overwritten"
        )


def _write(folder: Path, request: bytes, private: dict[str, bytes]) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        write_new(folder, {REQUEST_FILE: request}, private)
    except OSError as error:
        raise CredentialsError(
            f"cannot write {error.filename or folder}: {error.strerror}; mend that or choose"
            " another folder"
        ) from error


def _signed_parts(name: str, identity: bytes, tls_key: bytes) -> tuple[bytes, bytes, bytes]:
    return name.encode(), identity, tls_key


def _check_name(name: str) -> None:
    unseen = not name.isprintable() or name != name.strip() or _UNSEEN.search(name) is not None
    if unseen or not 1 <= len(name) <= LONGEST_NAME:
        raise ConfigError(
            f'name = "{name[:LONGEST_NAME]}": give 1 … {LONGEST_NAME} printable characters, without'
            " blanks around them"
        )


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
