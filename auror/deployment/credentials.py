"""Reading what ``auror certs`` wrote: TLS files, protocol identities and the signed policy."""

from __future__ import annotations

import datetime
import enum
import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.deployment.clean_samples import CleanSamples, check_held, load_clean
from auror.deployment.credential_files import KEY_FILE, broken, read_file
from auror.deployment.first_models import load_first_models
from auror.deployment.policy_file import POLICY_FILE, parse_policy
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.ids import ClientId, Digest
from auror.round.policy import Policy

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "cert.pem"
IDENTITY_FILE = "identity.key"
OPERATOR_FILE = "operator.pub"


class End(enum.Enum):
    """Of a connection."""

    SERVER = "server"
    CLIENT = "client"


_USAGE = {End.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, End.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}
_RENEW = {
    CERTIFICATE_FILE: "let the operator run `auror roster renew` and send what it makes",
    CA_FILE: "let the operator make a new deployment with `auror certs`",
}
_FOLDER = {End.SERVER: "server/", End.CLIENT: "clients/NNN/"}


@dataclass(frozen=True)
class TlsFiles:
    """What one end of a mutual TLS connection needs, PEM."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    def key_digest(self) -> Digest:
        """SHA-256 of the public key, as in the policy."""
        return tls_key_digest(self.certificate)


@dataclass(frozen=True)
class ServerCredentials:
    tls: TlsFiles
    policy: Policy
    first_models: tuple[NDArray[np.float32], ...]
    """Of each era, as the policy hashes them."""
    clean: CleanSamples | None = None
    """What the policy signs for label rows to read along."""

    def __post_init__(self) -> None:
        check_held(self.policy, self.clean)


@dataclass(frozen=True)
class ClientCredentials:
    tls: TlsFiles
    policy: Policy
    client: ClientId
    """Who this is: the member whose key this certificate names."""
    identity: SigningKey
    operator: bytes
    """The key that signs policies, 32 bytes."""
    clean: CleanSamples | None = None
    """What the policy signs for label rows to read along."""

    def __post_init__(self) -> None:
        check_held(self.policy, self.clean)


def client_folder(folder: Path, client: int) -> Path:
    """``clients/NNN`` below the folder of a deployment."""
    return folder / "clients" / f"{client:03d}"


def tls_key_digest(pem: bytes) -> Digest:
    """Of the public key in a certificate, as the policy names it.

    Raises ValueError when ``pem`` is not a certificate.
    """
    return key_digest(x509.load_pem_x509_certificate(pem).public_key())


def key_digest(key: CertificatePublicKeyTypes) -> Digest:
    """SHA-256 of ``key``'s SubjectPublicKeyInfo, DER."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return Digest(hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).digest())


def load_server(folder: Path) -> ServerCredentials:
    """Raises CredentialsError, naming the file, when something is missing or does not fit."""
    tls, policy = load_tls(folder), load_policy(folder)
    return ServerCredentials(
        tls, policy, load_first_models(folder, policy), load_clean(folder, policy)
    )


def load_client(folder: Path) -> ClientCredentials:
    """Raises CredentialsError, naming the file, when something is missing or does not fit."""
    tls = load_tls(folder)
    policy, operator = load_signed(folder)
    return own_credentials(folder, tls, policy, operator, load_clean(folder, policy))


def own_credentials(
    folder: Path,
    tls: TlsFiles,
    policy: Policy,
    operator: bytes,
    clean: CleanSamples | None,
) -> ClientCredentials:
    """Of the client whose keys lie in ``folder``, as ``policy`` names it, with what that signs.

    Raises:
        CredentialsError: it names nobody with these keys.
    """
    try:
        identity = SigningKey.from_pem(read_file(folder, IDENTITY_FILE))
    except ValueError as error:
        raise broken(folder / IDENTITY_FILE, "not an unencrypted Ed25519 key") from error
    digest = tls.key_digest()
    for client, entry in policy.members.items():
        if entry.tls_key == digest:
            if entry.verify_key != identity.verify_key:
                raise broken(
                    folder / IDENTITY_FILE, f"not the identity of client {client} in the policy"
                )
            return ClientCredentials(tls, policy, client, identity, operator, clean)
    for client, entry in policy.former.items():
        if entry.tls_key == digest:
            raise CredentialsError(
                f"client {client} was revoked by the operator and is no member in version"
                f" {policy.version} of the policy: ask the operator (`auror roster reinstate`)"
            )
    raise CredentialsError(
        f"{folder / CERTIFICATE_FILE}: this certificate is no member's in version"
        f" {policy.version} of the policy: {POLICY_FILE} is another deployment's, or of a version"
        " before this client joined; ask the operator"
    )


def check_expiry(policy: Policy, now: float) -> None:
    """Raises CredentialsError when ``policy`` has expired at ``now``, in Unix seconds."""
    if now >= policy.expires:
        when = datetime.datetime.fromtimestamp(policy.expires, datetime.UTC)
        raise CredentialsError(
            f"{POLICY_FILE}, version {policy.version}, expired on {when:%Y-%m-%d %H:%M} UTC"
            f" {_by_clock(now)}: let the operator run `auror policy next DIR --days 365` and copy"
            " the new one"
        )


def check_tls(folder: Path, tls: TlsFiles, end: End, now: float) -> datetime.datetime:
    """Whether ``tls``, from ``folder``, serve as ``end`` at ``now``, in Unix seconds.

    Returns:
        When the first of the certificates expires, UTC.

    Raises:
        CredentialsError: the other end's certificate, one that its CA did not issue or whose key
            this is not, one that has expired or is not yet valid, or a key that everybody can read.
    """
    path = folder / CERTIFICATE_FILE
    own, ca = (x509.load_pem_x509_certificate(pem) for pem in (tls.certificate, tls.ca))
    usages = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if _USAGE[end] not in usages:
        other = End.CLIENT if end is End.SERVER else End.SERVER
        raise CredentialsError(
            f"{path} is a {other.value}'s certificate: name the folder {_FOLDER[end]} that `auror"
            " certs` made"
        )
    try:
        own.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise broken(path, f"not issued by the CA in {CA_FILE}") from error
    key = serialization.load_pem_private_key(tls.key, password=None)
    if key.public_key() != own.public_key():
        raise broken(folder / KEY_FILE, f"not the key of {CERTIFICATE_FILE}")
    when = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for name, one in ((CERTIFICATE_FILE, own), (CA_FILE, ca)):
        if when >= one.not_valid_after_utc:
            raise CredentialsError(
                f"{folder / name} expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
                f" {_by_clock(now)}: {_RENEW[name]}"
            )
        if when < one.not_valid_before_utc:
            raise CredentialsError(
                f"{folder / name} is valid from {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
                f" {_by_clock(now)}: set the clock"
            )
    for name in (KEY_FILE, IDENTITY_FILE) if end is End.CLIENT else (KEY_FILE,):
        check_private(folder / name)
    return min(own.not_valid_after_utc, ca.not_valid_after_utc)


def _by_clock(now: float) -> str:
    """For whom a clock that is wrong is the easier thing to mend."""
    when = datetime.datetime.fromtimestamp(now, datetime.UTC)
    return f"(this machine's clock says {when:%Y-%m-%d %H:%M})"


def check_private(path: Path) -> None:
    """Raises CredentialsError when others can read the key in ``path``. A group may where only
    that lets this user in, as with secrets that a container is given."""
    status = path.stat()
    mode, mine = status.st_mode & 0o777, status.st_uid == os.geteuid()
    if mode & 0o007 or (mine and mode & 0o070):
        raise CredentialsError(
            f"{path} can be read by others on this machine (mode {mode:04o}): run"
            f" `chmod 600 {path}`"
        )


def operator_pem(verify_key: bytes) -> bytes:
    return Ed25519PublicKey.from_public_bytes(verify_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_tls(folder: Path) -> TlsFiles:
    """Certificates and key of one end, as PEM; :func:`check_tls` says whether they will do.

    Raises:
        CredentialsError: naming the file that is missing or damaged.
    """
    if not folder.is_dir():
        raise CredentialsError(
            f"no credentials folder {folder}: make one with `auror certs`, or name it in the"
            " setting `credentials`"
        )
    ca, certificate = load_certificates(folder)
    files = TlsFiles(ca, certificate, read_file(folder, KEY_FILE))
    try:
        serialization.load_pem_private_key(files.key, password=None)
    except (ValueError, TypeError) as error:
        raise broken(folder / KEY_FILE, "not an unencrypted PEM key") from error
    return files


def load_certificates(folder: Path) -> tuple[bytes, bytes]:
    """The CA's and that of one end, PEM.

    Raises:
        CredentialsError: naming the file that is missing or damaged.
    """
    found = read_file(folder, CA_FILE), read_file(folder, CERTIFICATE_FILE)
    for name, pem in zip((CA_FILE, CERTIFICATE_FILE), found, strict=True):
        try:
            tls_key_digest(pem)
        except ValueError as error:
            raise broken(folder / name, "not a PEM certificate") from error
    return found


def load_policy(folder: Path) -> Policy:
    """The policy in ``folder``, signed by the operator whose key lies beside it.

    Raises:
        CredentialsError: naming the file, when something is missing or does not fit.
    """
    return load_signed(folder)[0]


def load_signed(folder: Path) -> tuple[Policy, bytes]:
    """The policy in ``folder``, and the operator's key that signed it, 32 bytes.

    Raises:
        CredentialsError: naming the file, when something is missing or does not fit.
    """
    operator = operator_key(folder)
    return read_policy(folder / POLICY_FILE, operator), operator


def read_policy(path: Path, operator: bytes) -> Policy:
    """The policy in ``path``, signed by the ``operator`` (32 bytes).

    Raises:
        CredentialsError: naming the file, when it is missing or does not fit.
    """
    try:
        return _signed_policy(read_file(path.parent, path.name), operator)
    except ConfigError as error:
        raise broken(path, str(error)) from error
    except AuthenticationFailed as error:
        raise broken(path, f"not signed by the operator key in {OPERATOR_FILE}") from error
    except ValueError as error:
        raise broken(path, "not a policy") from error


@functools.lru_cache(maxsize=2)
def _signed_policy(raw: bytes, operator: bytes) -> Policy:
    """The clients of a process read the same text, and hold one policy."""
    policy = parse_policy(raw)
    policy.verify(operator)
    return policy


def operator_key(folder: Path) -> bytes:
    """The operator's public key in ``folder``, 32 bytes. Raises CredentialsError without one."""
    try:
        operator = serialization.load_pem_public_key(read_file(folder, OPERATOR_FILE))
    except ValueError as error:
        raise broken(folder / OPERATOR_FILE, "not a PEM public key") from error
    if not isinstance(operator, Ed25519PublicKey):
        raise broken(folder / OPERATOR_FILE, "not an Ed25519 key")
    return operator.public_bytes_raw()


def load_operator(folder: Path) -> bytes:
    """The operator's public key in ``folder``, PEM. Raises CredentialsError without one."""
    return read_file(folder, OPERATOR_FILE)


def read_ca(folder: Path) -> bytes:
    """The deployment's CA in ``folder``, PEM. Raises CredentialsError without one."""
    return read_file(folder, CA_FILE)
