"""What an approved site gets back: one file without a secret, signed by the operator."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from string import hexdigits

from cryptography.hazmat.primitives import serialization

from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, number
from auror.deployment.addresses import MAX_CLIENTS, check_address
from auror.deployment.canonical import (
    canonical_json,
    parse_canonical,
    read_small,
    write_whole,
)
from auror.deployment.clean_samples import CLEAN_FILE, digest_of, parse_clean
from auror.deployment.credential_files import KEY_FILE
from auror.deployment.credentials import (
    CA_FILE,
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    OPERATOR_FILE,
    ClientCredentials,
    End,
    TlsFiles,
    check_expiry,
    check_tls,
    load_client,
    load_signed,
    operator_pem,
    own_credentials,
)
from auror.deployment.policy_file import POLICY_FILE, parse_policy, policy_json
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows

BUNDLE_FILE = "bundle.json"
_LARGEST = 64 << 20
"""Bytes: clean samples as text, and a policy."""
_KINDS = {
    "ca": str,
    "certificate": str,
    "clean": str,
    "client": int,
    "operator": str,
    "policy": str,
    "server": str,
    "signature": str,
}


@dataclass(frozen=True)
class Bundle:
    """For one client."""

    client: ClientId
    certificate: bytes
    """PEM, as is the next."""
    ca: bytes
    policy: Policy
    operator: bytes
    """The key that signed all of it, 32 bytes."""
    server: str
    """host:port."""
    clean: bytes | None = None
    """The clean samples' file, as the policy signs it."""

    def signed_parts(self) -> tuple[bytes, ...]:
        """Canonical."""
        policy = policy_json(self.policy)
        return (number(self.client), self.certificate, self.ca, policy, self.server.encode())

    def to_json(self, operator: SigningKey) -> bytes:
        """Signed by ``operator``."""
        content: dict[str, str | int] = {
            "ca": self.ca.decode(),
            "certificate": self.certificate.decode(),
            "clean": base64.b64encode(self.clean or b"").decode(),
            "client": int(self.client),
            "operator": self.operator.hex(),
            "policy": policy_json(self.policy).decode(),
            "server": self.server,
            "signature": operator.sign(Tag.JOIN_BUNDLE, *self.signed_parts()).hex(),
        }
        return canonical_json(content)


def operator_fingerprint(verify_key: bytes) -> str:
    """SHA-256 of the operator's key (hex), to compare over another channel."""
    return hashlib.sha256(verify_key).hexdigest()


def parse_bundle(raw: bytes) -> Bundle:
    """Both signatures verified: that under the bundle, and that under its policy.

    Raises:
        ValueError, ConfigError or AuthenticationFailed: it is none.
    """
    found = parse_canonical(raw, _KINDS)
    operator, server = bytes.fromhex(str(found["operator"])), str(found["server"])
    if not 0 <= int(found["client"]) < MAX_CLIENTS:
        raise ValueError("no client has that number")
    clean = base64.b64decode(str(found["clean"]), validate=True) or None
    bundle = Bundle(
        client=ClientId(int(found["client"])),
        certificate=str(found["certificate"]).encode(),
        ca=str(found["ca"]).encode(),
        policy=parse_policy(str(found["policy"]).encode()),
        operator=operator,
        server=server,
        clean=clean,
    )
    if digest_of(clean) != bundle.policy.clean_samples:
        raise ValueError("its clean samples are not those that its policy signs")
    check_address("server", server)
    verify(
        operator,
        bytes.fromhex(str(found["signature"])),
        Tag.JOIN_BUNDLE,
        *bundle.signed_parts(),
    )
    bundle.policy.verify(operator)
    return bundle


def finish(folder: Path, path: Path, operator: str | None = None) -> tuple[Bundle, Policy]:
    """Put the bundle in ``path`` beside the keys in ``folder``, to be used by ``auror-client``.

    Args:
        operator: fingerprint of the operator's key, as it was told over another channel; a folder
            that was finished before takes that operator's bundles only.

    Returns:
        The bundle and the policy that is held from now on.

    Raises:
        ConfigError: ``operator`` is no whole fingerprint.
        CredentialsError: no bundle, or one that was changed, is another client's or another
            operator's, has expired, or holds an older policy than the folder.
    """
    raw = read_small(path, "`auror approve`", _LARGEST)
    try:
        bundle = parse_bundle(raw)
    except (ValueError, ConfigError, AuthenticationFailed) as error:
        raise CredentialsError(
            f"{path} is no bundle, or was changed on its way ({error}): let the operator send it"
            " once more"
        ) from error
    check_operator(path, bundle.operator, operator)
    _check_own(folder, path, bundle)
    check_later(folder, path, bundle.operator, bundle.policy)
    put_beside_keys(
        folder, bundle.ca, bundle.operator, bundle.certificate, bundle.policy, bundle.clean
    )
    return bundle, load_client(folder).policy


def put_beside_keys(
    folder: Path,
    ca: bytes,
    operator: bytes,
    certificate: bytes,
    policy: Policy,
    clean: bytes | None,
) -> None:
    """Write what came back from the operator, whose key has 32 bytes; certificates are PEM,
    ``clean`` the file of clean samples.

    Raises:
        CredentialsError: a file cannot be written.
    """
    files = {
        CA_FILE: ca,
        OPERATOR_FILE: operator_pem(operator),
        CERTIFICATE_FILE: certificate,
        **({} if clean is None else {CLEAN_FILE: clean}),
        POLICY_FILE: policy_json(policy),  # last: without it the folder is not finished
    }
    for name, content in files.items():
        write_whole(folder / name, content)


def check_operator(path: Path, verify_key: bytes, operator: str | None) -> None:
    """Whether the key (32 bytes) that signed what ``path`` holds is the one that was told.

    Raises:
        ConfigError: ``operator`` is no whole fingerprint.
        CredentialsError: it is another one's.
    """
    told = operator_fingerprint(verify_key)
    given = None if operator is None else operator.replace(" ", "").replace(":", "").lower()
    if given is not None and not (len(given) == len(told) and set(given) <= set(hexdigits)):
        raise ConfigError(
            f"operator = {operator}: a fingerprint has {len(told)} hexadecimal digits: give all"
        )
    if given not in {None, told}:
        raise CredentialsError(
            f"{path} is signed by the operator {told}, not by {operator}: ask the operator for the"
            " right one, and take no other"
        )


def own_key(folder: Path) -> bytes:
    """The TLS key that was made in ``folder``, PEM. Raises CredentialsError: there is none."""
    try:
        key = (folder / KEY_FILE).read_bytes()
        serialization.load_pem_private_key(key, password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CredentialsError(
            f"{folder / KEY_FILE} is missing or no key: name the folder that `auror enrol` made on"
            " this machine"
        ) from error
    return key


def check_later(folder: Path, path: Path, operator: bytes, policy: Policy) -> None:
    """Whether ``policy`` of ``path`` may follow what ``folder`` holds, if anything.

    Raises:
        CredentialsError: it is another operator's, an older one or a fork.
    """
    if not (folder / POLICY_FILE).exists():
        return
    held, pinned = load_signed(folder)
    if pinned != operator:
        raise CredentialsError(
            f"{path} is another operator's than {folder / OPERATOR_FILE}: take no other, or make"
            " new keys in a new folder"
        )
    try:
        check_follows(held, policy)
    except ConfigError as error:
        raise CredentialsError(f"{path}: {error}") from error


def _check_own(folder: Path, path: Path, bundle: Bundle) -> ClientCredentials:
    key = own_key(folder)
    if not (folder / IDENTITY_FILE).exists():
        raise CredentialsError(
            f"{folder} has the key of a server, {path} is a site's bundle: name the folder that the"
            " operator sent"
        )
    tls, now = TlsFiles(bundle.ca, bundle.certificate, key), time.time()
    try:
        clean = parse_clean(path, bundle.clean)
        own = own_credentials(folder, tls, bundle.policy, bundle.operator, clean)
        check_tls(folder, tls, End.CLIENT, now)
    except (CredentialsError, ValueError) as error:
        raise CredentialsError(
            f"{path} does not fit the keys in {folder} ({error}): is it another site's?"
        ) from error
    if own.client != bundle.client:
        raise CredentialsError(f"{path} names client {bundle.client}, its policy {own.client}")
    check_expiry(bundle.policy, now)
    return own
