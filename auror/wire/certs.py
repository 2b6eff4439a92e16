"""Certificates, identities and the signed roster of a deployment: what ``auror certs`` writes.

TLS uses ECDSA P-256 (gRPC's TLS stack refuses Ed25519 certificates), the protocol signs with
Ed25519; the roster, signed by the operator, ties the two together per client.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auror.crypto.entropy import Entropy, system_entropy
from auror.crypto.signing import SigningKey
from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId, Digest
from auror.round.description import Roster, RosterEntry
from auror.wire.credentials import (
    CA_FILE,
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    KEY_FILE,
    OPERATOR_FILE,
    ROSTER_FILE,
    client_folder,
    operator_pem,
    roster_json,
)

MAX_CLIENTS = 10_000
_VALID_DAYS = 825
_CA_DAYS = 3650
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def create_deployment(
    folder: Path,
    clients: int,
    hosts: Sequence[str],
    *,
    deployment: str = "",
    entropy: Entropy = system_entropy,
) -> Roster:
    """Write a whole deployment's credentials below ``folder`` and return its roster.

    ``ca.pem``, ``ca.key``, ``operator.key``, ``operator.pub``, ``roster.json``, ``server/`` and
    ``clients/NNN/``; the last two are complete by themselves, to be copied to their machines.
    ``hosts`` are the names and addresses under which clients reach the server. Private files
    get mode 0600.

    Raises:
        ConfigError: no host, or a number of clients that is not 2 … 10,000.
        CredentialsError: ``folder`` holds something already, or cannot be written.
    """
    if not 2 <= clients <= MAX_CLIENTS:
        raise ConfigError(f"--clients {clients}: choose 2 … {MAX_CLIENTS}")
    if not hosts:
        raise ConfigError("no server host: give --server HOST, the name clients connect to")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CredentialsError(
            f"{folder} is not empty: choose a new folder, credentials are never overwritten"
        )
    try:
        return _create(folder, clients, hosts, deployment, entropy)
    except OSError as error:
        raise CredentialsError(f"cannot write {error.filename}: {error.strerror}") from error


def _create(
    folder: Path, clients: int, hosts: Sequence[str], deployment: str, entropy: Entropy
) -> Roster:
    now = datetime.datetime.now(datetime.UTC)
    deployment = deployment or f"auror-{entropy(4).hex()}"
    ca = _issue_ca(deployment, now)
    operator = SigningKey.draw(entropy)
    identities = {ClientId(i): SigningKey.draw(entropy) for i in range(clients)}
    issued = {i: _issue_client(ca, deployment, i, now) for i in identities}
    roster = Roster.signed(
        deployment,
        {
            i: RosterEntry(
                i, identities[i].verify_key, Digest(one.certificate.fingerprint(hashes.SHA256()))
            )
            for i, one in issued.items()
        },
        operator,
    )
    public = {
        CA_FILE: ca.certificate_pem,
        ROSTER_FILE: roster_json(roster),
        OPERATOR_FILE: operator_pem(operator.verify_key),
    }
    _write(folder, public, {"ca.key": ca.key_pem, "operator.key": operator.to_pem()})
    server = _issue_server(ca, hosts, now)
    _write(
        folder / "server",
        {**public, CERTIFICATE_FILE: server.certificate_pem},
        {KEY_FILE: server.key_pem},
    )
    for i, one in issued.items():
        _write(
            client_folder(folder, i),
            {**public, CERTIFICATE_FILE: one.certificate_pem},
            {KEY_FILE: one.key_pem, IDENTITY_FILE: identities[i].to_pem()},
        )
    return roster


def _issue_ca(deployment: str, now: datetime.datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{deployment} CA")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key, now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue_server(ca: _Issued, hosts: Sequence[str], now: datetime.datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    builder = _leaf(ca, hosts[0], key, now, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(
        names, critical=False
    )
    return _Issued(builder.sign(ca.key, hashes.SHA256()), key)


def _issue_client(
    ca: _Issued, deployment: str, client: ClientId, now: datetime.datetime
) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf(ca, f"{deployment} client {client}", key, now, ExtendedKeyUsageOID.CLIENT_AUTH)
    return _Issued(builder.sign(ca.key, hashes.SHA256()), key)


def _leaf(
    ca: _Issued,
    common_name: str,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return (
        _builder(_name(common_name), ca.certificate.subject, key, now, _VALID_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(authority, critical=False)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(folder: Path, public: dict[str, bytes], private: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for files, mode in ((public, 0o644), (private, 0o600)):
        for name, content in files.items():
            # the mode is set when the file is made: a key is never readable, not even briefly
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(folder / name, flags, mode), "wb") as file:
                file.write(content)
