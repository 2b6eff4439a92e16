"""Certificates, identities and the signed policy of a deployment: what ``auror certs`` writes.

TLS uses ECDSA P-256 (gRPC's TLS stack refuses Ed25519 certificates), the protocol signs with
Ed25519; the policy, signed by the operator, ties the two together per client.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors.numpy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, system_entropy
from auror.crypto.signing import SigningKey
from auror.deployment.addresses import MAX_CLIENTS, check_host
from auror.deployment.credentials import (
    CA_FILE,
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    KEY_FILE,
    OPERATOR_FILE,
    client_folder,
    first_model_file,
    operator_pem,
)
from auror.deployment.policy_file import POLICY_FILE, policy_json
from auror.errors import ConfigError, CredentialsError
from auror.fields import default_of
from auror.files import replace_file
from auror.ids import ClientId, Digest
from auror.params import Budget, PlanCaps, RoundParams
from auror.round.description import model_digest
from auror.round.policy import DEPLOYMENT_BYTES, NO_DIGEST, Policy, RosterEntry

OPERATOR_FOLDER = "operator"
OPERATOR_KEY_FILE = "operator.key"
VALID_DAYS = 825
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


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the operator signs beside who takes part."""

    params: RoundParams
    task: bytes
    first_models: tuple[NDArray[np.float32], ...]
    """Of each era, (d,)."""
    budget: Budget
    caps: PlanCaps = field(default_factory=PlanCaps)
    days: int = 365
    """Until the policy expires."""
    release_model: bool = default_of(Policy, "release_model")
    """Whether clients get the trained model."""


def create_deployment(
    folder: Path,
    clients: int,
    hosts: Sequence[str],
    terms: Terms,
    entropy: Entropy = system_entropy,
) -> Policy:
    """Write a whole deployment below ``folder`` and return its policy.

    ``operator/`` holds the two keys that only enrolling needs; ``server/`` and ``clients/NNN/`` are
    complete by themselves, to be copied to their machines. ``hosts`` are the names and addresses
    under which clients reach the server. Private files get mode 0600.

    Raises:
        ConfigError: no host, terms that cannot work, or not 2 … 10,000 clients.
        CredentialsError: ``folder`` holds something already, or cannot be written.
    """
    check_new(folder, clients, hosts)
    there = folder.exists()
    try:
        return _create(folder, clients, hosts, terms, entropy)
    except BaseException as error:
        for name in (OPERATOR_FOLDER, "server", "clients"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise CredentialsError(
            f"cannot write {error.filename}: {error.strerror}; choose another folder"
        ) from error


def check_new(folder: Path, clients: int, hosts: Sequence[str]) -> None:
    """What can be refused before anything is computed or written.

    Raises:
        ConfigError: not 2 … 10,000 clients, or a host that no certificate can name.
        CredentialsError: ``folder`` holds something already.
    """
    if not 2 <= clients <= MAX_CLIENTS:
        raise ConfigError(f"clients = {clients}: choose 2 … {MAX_CLIENTS}")
    if not hosts:
        raise ConfigError("no server host: name what clients connect to, e.g. localhost")
    for host in hosts:
        check_host("server", host)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CredentialsError(
            f"{folder} is not empty: choose a new folder, credentials are never overwritten"
        )


def _create(
    folder: Path, clients: int, hosts: Sequence[str], terms: Terms, entropy: Entropy
) -> Policy:
    now = _now()
    deployment = entropy(DEPLOYMENT_BYTES)
    operator = SigningKey.draw(entropy)
    identities = {ClientId(i): SigningKey.draw(entropy) for i in range(clients)}
    unsigned = Policy(  # checked before the first file is written
        deployment=deployment,
        version=1,
        expires=expiry(terms.days),
        predecessor=NO_DIGEST,
        members={i: RosterEntry(i, key.verify_key, NO_DIGEST) for i, key in identities.items()},
        params=terms.params,
        caps=terms.caps,
        task=terms.task,
        first_models=tuple(model_digest(model) for model in terms.first_models),
        budget=terms.budget,
        release_model=terms.release_model,
    )
    name = f"auror-{unsigned.name[:8]}"
    ca = _issue_ca(name, now)
    issued = {i: _issue_client(ca, name, i, now) for i in identities}
    members = {
        i: replace(entry, certificate=Digest(issued[i].certificate.fingerprint(hashes.SHA256())))
        for i, entry in unsigned.members.items()
    }
    policy = replace(unsigned, members=members).signed(operator)
    public = {
        CA_FILE: ca.certificate_pem,
        POLICY_FILE: policy_json(policy),
        OPERATOR_FILE: operator_pem(operator.verify_key),
    }
    _write(
        folder / OPERATOR_FOLDER,
        public,
        {"ca.key": ca.key_pem, OPERATOR_KEY_FILE: operator.to_pem()},
    )
    server = _issue_server(ca, hosts, now)
    _write(
        folder / "server",
        {**public, CERTIFICATE_FILE: server.certificate_pem},
        {KEY_FILE: server.key_pem},
    )
    for era, model in enumerate(terms.first_models):
        write_first_model(folder / "server", era, model)
    for i, one in issued.items():
        _write(
            client_folder(folder, i),
            {**public, CERTIFICATE_FILE: one.certificate_pem},
            {KEY_FILE: one.key_pem, IDENTITY_FILE: identities[i].to_pem()},
        )
    return policy


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def expiry(days: int) -> int:
    """``days`` from now in Unix seconds. Raises ConfigError: certificates last no longer."""
    if not 1 <= days <= VALID_DAYS:  # certificates last no longer
        raise ConfigError(f"days = {days}: choose 1 … {VALID_DAYS}")
    return int((_now() + datetime.timedelta(days=days)).timestamp())


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
        _builder(_name(common_name), ca.certificate.subject, key, now, VALID_DAYS)
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


def write_first_model(folder: Path, era: int, model: NDArray[np.float32]) -> None:
    """For the server whose credentials are in ``folder``.

    Raises:
        CredentialsError: it cannot be written.
    """
    path = first_model_file(folder, era)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, safetensors.numpy.save({"model": np.ascontiguousarray(model)}))
    except OSError as error:
        raise CredentialsError(f"cannot write {path}: {error.strerror}") from error


def _write(folder: Path, public: dict[str, bytes], private: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for files, mode in ((public, 0o644), (private, 0o600)):
        for name, content in files.items():
            # the mode is set when the file is made: a key is never readable, not even briefly
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(folder / name, flags, mode), "wb") as file:
                file.write(content)
