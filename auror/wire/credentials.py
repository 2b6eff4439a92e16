"""Reading what ``auror certs`` wrote: TLS files, protocol identities and the signed roster."""

from __future__ import annotations

import hashlib
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auror.crypto.signing import SigningKey
from auror.errors import AuthenticationFailed, CredentialsError
from auror.ids import ClientId, Digest
from auror.round.description import Roster, RosterEntry

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "cert.pem"
KEY_FILE = "key.pem"
IDENTITY_FILE = "identity.key"
ROSTER_FILE = "roster.json"
OPERATOR_FILE = "operator.pub"


@dataclass(frozen=True)
class TlsFiles:
    """What one end of a mutual TLS connection needs, PEM."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    def fingerprint(self) -> Digest:
        """SHA-256 of the certificate's DER, as in the roster."""
        return certificate_fingerprint(self.certificate)


@dataclass(frozen=True)
class ServerCredentials:
    tls: TlsFiles
    roster: Roster


@dataclass(frozen=True)
class ClientCredentials:
    tls: TlsFiles
    roster: Roster
    client: ClientId
    """Who this is: the roster entry that carries this certificate."""
    identity: SigningKey


def client_folder(folder: Path, client: int) -> Path:
    """``clients/NNN`` below the folder of a deployment."""
    return folder / "clients" / f"{client:03d}"


def certificate_fingerprint(pem: bytes) -> Digest:
    """Raises ValueError when ``pem`` is not a certificate."""
    return Digest(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).digest())


def load_server(folder: Path) -> ServerCredentials:
    """Raises CredentialsError, naming the file, when something is missing or does not fit."""
    return ServerCredentials(_load_tls(folder), _load_roster(folder))


def load_client(folder: Path) -> ClientCredentials:
    """Raises CredentialsError, naming the file, when something is missing or does not fit."""
    tls, roster = _load_tls(folder), _load_roster(folder)
    try:
        identity = SigningKey.from_pem(_read(folder, IDENTITY_FILE))
    except ValueError as error:
        raise _broken(folder / IDENTITY_FILE, "not an unencrypted Ed25519 key") from error
    fingerprint = tls.fingerprint()
    for client, entry in roster.entries.items():
        if entry.certificate == fingerprint:
            if entry.verify_key != identity.verify_key:
                raise _broken(
                    folder / IDENTITY_FILE, f"not the identity of client {client} in the roster"
                )
            return ClientCredentials(tls, roster, client, identity)
    raise _broken(folder / CERTIFICATE_FILE, "this certificate is in no roster entry")


def roster_json(roster: Roster) -> bytes:
    """The text of ``roster.json``."""
    rows = [
        {
            "client": client,
            "verify_key": entry.verify_key.hex(),
            "certificate": entry.certificate.hex(),
        }
        for client, entry in sorted(roster.entries.items())
    ]
    whole = {
        "deployment": roster.deployment,
        "clients": rows,
        "signature": roster.signature.hex(),
    }
    return json.dumps(whole, indent=1).encode() + b"\n"


def operator_pem(verify_key: bytes) -> bytes:
    return Ed25519PublicKey.from_public_bytes(verify_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _load_tls(folder: Path) -> TlsFiles:
    if not folder.is_dir():
        raise CredentialsError(
            f"no credentials folder {folder}: make one with `auror certs`, or name it in the"
            " setting `credentials`"
        )
    files = TlsFiles(
        _read(folder, CA_FILE), _read(folder, CERTIFICATE_FILE), _read(folder, KEY_FILE)
    )
    for name, pem in ((CA_FILE, files.ca), (CERTIFICATE_FILE, files.certificate)):
        try:
            certificate_fingerprint(pem)
        except ValueError as error:
            raise _broken(folder / name, "not a PEM certificate") from error
    try:
        serialization.load_pem_private_key(files.key, password=None)
    except (ValueError, TypeError) as error:
        raise _broken(folder / KEY_FILE, "not an unencrypted PEM key") from error
    return files


def _load_roster(folder: Path) -> Roster:
    path = folder / ROSTER_FILE
    try:
        roster = _parse_roster(json.loads(_read(folder, ROSTER_FILE)))
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, "not a roster") from error
    if sorted(roster.entries) != list(range(len(roster.entries))):
        raise _broken(path, "clients are not numbered 0 … n−1")
    try:
        operator = serialization.load_pem_public_key(_read(folder, OPERATOR_FILE))
    except ValueError as error:
        raise _broken(folder / OPERATOR_FILE, "not a PEM public key") from error
    if not isinstance(operator, Ed25519PublicKey):
        raise _broken(folder / OPERATOR_FILE, "not an Ed25519 key")
    try:
        roster.verify(operator.public_bytes_raw())
    except AuthenticationFailed as error:
        raise _broken(path, f"not signed by the operator key in {OPERATOR_FILE}") from error
    return roster


def _parse_roster(whole: dict[str, Any]) -> Roster:
    entries = {}
    for row in whole["clients"]:
        client = ClientId(int(row["client"]))
        entries[client] = RosterEntry(
            client, bytes.fromhex(row["verify_key"]), Digest(bytes.fromhex(row["certificate"]))
        )
    return Roster(str(whole["deployment"]), entries, bytes.fromhex(whole["signature"]))


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise CredentialsError(
            f"{folder / name} is missing: copy the whole folder that `auror certs` made"
        ) from error
    except OSError as error:
        raise CredentialsError(f"cannot read {folder / name}: {error.strerror}") from error


def _broken(path: Path, what: str) -> CredentialsError:
    return CredentialsError(f"{path}: {what}; copy it again from where `auror certs` made it")
