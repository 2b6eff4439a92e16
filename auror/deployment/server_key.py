"""The server's certificate, where the operator issues it: for a key that the server's host made.

No policy names the server's key. Clients know the server by the deployment's CA and the host that
they connect to, so what matters is for whom the operator issues under which names: for one key, and
for the names in its own folder, whatever a request says (docs/adr/0034).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from auror.deployment.canonical import write_whole
from auror.deployment.credential_files import KEY_FILE
from auror.deployment.credentials import CERTIFICATE_FILE, key_digest
from auror.deployment.issuing import Issued, check_days, pem_of, server_certificate
from auror.deployment.join_request import read_server_request
from auror.deployment.operator import Operator
from auror.errors import ConfigError, CredentialsError
from auror.ids import Digest


@dataclass(frozen=True)
class ServerApproved:
    """Whom the operator made the server."""

    request: str
    """Fingerprint of its request."""
    folder: str
    """What it has to get; nothing in it is secret."""
    hosts: tuple[str, ...]
    """Under which its certificate lets it be reached."""
    until: str
    """Date (UTC)."""
    before: str | None
    """Until when the certificate of another key serves that was the server's; None: none was."""


def approve_server(folder: Path, path: Path, days: int, replace: bool = False) -> ServerApproved:
    """Issue the server's certificate for the key that asked in ``path``; once more for the same.

    Args:
        days: until it expires.
        replace: the server has another key, which is to be its key no more.

    Raises:
        ConfigError: the server has another key, or this one is a client's.
        CredentialsError: a request that was changed, or the operator's files do not fit.
    """
    check_days("days", days)
    operator = Operator(folder)
    request = read_server_request(path)
    digest = key_digest(request.tls_key)
    with operator.alone():
        ca, hosts = operator.ca(), operator.hosts()
        before = issued_to_server(operator, ca)
        other = before is not None and key_digest(key_of(before, path)) != digest
        if replace and not other:
            raise ConfigError(
                f"the server has no other key than that of {path} to replace: `auror approve DIR"
                f" --server-request {path}` is enough"
            )
        if other and not replace:
            raise ConfigError(
                f"the server has another key than that of {path}: if its host asked with a new"
                f" one, `auror approve DIR --server-request {path} --replace-server`"
            )
        members = {} if operator.draft is not None else operator.policy.roster.everybody
        for client, entry in members.items():
            if entry.tls_key == digest:
                raise ConfigError(
                    f"{path} asks with the key of client {client}: let the server's host make one"
                    " of its own with `auror enrol --server`"
                )
        made = server_certificate(ca, hosts, request.tls_key, days)
        write_whole(operator.server / CERTIFICATE_FILE, pem_of(made))
        if other:  # that of `auror certs`; it must not travel with this certificate
            (operator.server / KEY_FILE).unlink(missing_ok=True)
    return ServerApproved(
        request=request.fingerprint,
        folder=str(operator.server),
        hosts=hosts,
        until=_date(made),
        before=_date(before) if other and before is not None else None,
    )


def renew_server(operator: Operator, ca: Issued, days: int) -> None:
    """Issue a new certificate for the key that the server has.

    Raises:
        CredentialsError: there is none, or not the server's.
    """
    path = operator.server / CERTIFICATE_FILE
    before = issued_to_server(operator, ca)
    if before is None:
        raise CredentialsError(
            f"{path} is missing: approve the request of the server's host with `auror approve"
            f" {operator.folder} --server-request REQUEST`"
        )
    made = server_certificate(ca, operator.hosts(), key_of(before, path), days)
    write_whole(path, pem_of(made))


def check_not_the_servers(operator: Operator, ca: Issued, keys: dict[Path, Digest]) -> None:
    """``keys``: of who asks to be a member, each by its request.

    Raises:
        ConfigError: one of them is the server's.
        CredentialsError: the server's certificate is not this deployment's.
    """
    before = issued_to_server(operator, ca)
    for path, digest in keys.items():
        if before is not None and key_digest(before.public_key()) == digest:
            raise ConfigError(
                f"{path} asks with the server's key: let the site make keys of its own with `auror"
                " enrol`"
            )


def issued_to_server(operator: Operator, ca: Issued) -> x509.Certificate | None:
    """The server's certificate; None: nobody is the server yet. For another one's key nobody issues
    another: that would be in the server's name.

    Raises:
        CredentialsError: it is none that this CA issued for a server.
    """
    path = operator.server / CERTIFICATE_FILE
    if not path.exists():
        return None
    certificate = read_certificate(path)
    try:
        certificate.verify_directly_issued_by(ca.certificate)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
            raise ValueError("a client's")
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise CredentialsError(
            f"{path} is not the server's certificate of this deployment: put back the one that"
            " `auror certs`, `auror approve` or `auror roster renew` made"
        ) from error
    return certificate


def read_certificate(path: Path) -> x509.Certificate:
    """Raises CredentialsError: it is missing, or none."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"{path} is missing or no certificate: keep the whole folder that `auror certs` made"
        ) from error


def key_of(certificate: x509.Certificate, path: Path) -> ec.EllipticCurvePublicKey:
    """Raises CredentialsError: ``certificate``, in ``path``, is for a key of another kind."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CredentialsError(f"{path} is no certificate of ours: its key is not on P-256")
    return key


def _date(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"
