"""Certificates: the deployment's CA, and what it issues for keys that it may never have seen."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auror.errors import ConfigError
from auror.ids import ClientId

VALID_DAYS = 825
"""Longest lifetime of a certificate that is no CA."""
CA_DAYS = 3650
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Issued:
    """A certificate and the private key of whom it names."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8, unencrypted: for a file of mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def check_days(name: str, days: int) -> None:
    """Raises ConfigError: no certificate or policy lasts that long."""
    if not 1 <= days <= VALID_DAYS:
        raise ConfigError(f"{name} = {days}: choose 1 … {VALID_DAYS}")


def expiry(days: int) -> int:
    """``days`` from now in Unix seconds. Raises ConfigError: certificates last no longer."""
    check_days("days", days)
    return int((_now() + datetime.timedelta(days=days)).timestamp())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def issue_ca(deployment: str) -> Issued:
    """A new one, for ``CA_DAYS``."""
    now, key = _now(), ec.generate_private_key(ec.SECP256R1())
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
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


def issue_server(ca: Issued, hosts: Sequence[str], days: int) -> Issued:
    """With a new key, for clients that reach it under ``hosts``."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Issued(server_certificate(ca, hosts, key.public_key(), days), key)


def server_certificate(
    ca: Issued, hosts: Sequence[str], key: ec.EllipticCurvePublicKey, days: int
) -> x509.Certificate:
    """For the server that holds ``key``."""
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    builder = _leaf(ca, hosts[0], key, days, ExtendedKeyUsageOID.SERVER_AUTH)
    return builder.add_extension(names, critical=False).sign(ca.key, hashes.SHA256())


def client_certificate(
    ca: Issued, deployment: str, client: ClientId, key: ec.EllipticCurvePublicKey, days: int
) -> x509.Certificate:
    """For the client that holds ``key``."""
    subject = f"{deployment} client {client}"
    builder = _leaf(ca, subject, key, days, ExtendedKeyUsageOID.CLIENT_AUTH)
    return builder.sign(ca.key, hashes.SHA256())


def _leaf(
    ca: Issued,
    common_name: str,
    key: ec.EllipticCurvePublicKey,
    days: int,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return (
        _builder(_name(common_name), ca.certificate.subject, key, _now(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(authority, critical=False)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
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
