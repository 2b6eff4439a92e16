"""The entry of a start: under whose policy, and by which identity, the next ones were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auror.audit.broken import Broken
from auror.defence.features import FeatureBlock
from auror.deployment.audit_log import check_issued
from auror.deployment.credentials import load_operator, read_ca
from auror.deployment.policy_file import parse_policy
from auror.errors import AuthenticationFailed, ConfigError
from auror.round.policy import Policy
from auror.round.policy_chain import check_follows


@dataclass(frozen=True)
class Roots:
    """What a reader trusts beforehand: both come with every client's credentials."""

    operator: bytes
    """The operator's public key, PEM."""
    ca: bytes
    """The deployment's CA, PEM."""


@dataclass(frozen=True)
class Start:
    """One such entry, its signatures verified."""

    policy: Policy
    roots: Roots
    certificate: bytes
    """The server's, PEM."""
    settings: str
    """Hash of the configuration that decides the training."""
    detector: str
    error_rate: float
    defend: bool
    blocks: tuple[FeatureBlock, ...]
    """Columns of the evidence."""
    version: str
    first: int
    """Index of the first round that follows."""


def read_start(content: Mapping[str, Any], before: Start | None, trusted: Roots | None) -> Start:
    """``content`` as a start that may follow ``before``.

    Raises:
        Broken: a signature does not verify, or it is another deployment's.
        KeyError, TypeError, ValueError: it is none.
    """
    policy = parse_policy(content["policy"].encode())
    found = Start(
        policy=policy,
        roots=Roots(content["operator"].encode(), content["ca"].encode()),
        certificate=content["certificate"].encode(),
        settings=str(content["settings"]),
        detector=str(content["detector"]),
        error_rate=float(content["error_rate"]),
        defend=bool(content["defend"]),
        blocks=tuple(FeatureBlock.from_dict(block) for block in content["blocks"]),
        version=str(content["version"]),
        first=int(content["from"]),
    )
    roots = trusted or (found.roots if before is None else before.roots)
    if found.roots != roots:
        raise Broken("its operator key or CA is not the one that is trusted")
    try:
        policy.verify(_raw(roots.operator))
    except AuthenticationFailed as error:
        raise Broken("the operator did not sign its policy") from error
    try:
        check_issued(found.certificate, roots.ca)
    except AuthenticationFailed as error:
        raise Broken(f"the server's certificate: {error}") from error
    if before is not None:
        _check_follows(before.policy, policy)
    return found


def read_roots(folder: Path) -> Roots:
    """Of the credentials in ``folder``. Raises CredentialsError when a file is missing."""
    return Roots(load_operator(folder), read_ca(folder))


def _check_follows(before: Policy, policy: Policy) -> None:
    try:
        check_follows(before, policy)
    except ConfigError as error:
        raise Broken(str(error)) from error


def _raw(pem: bytes) -> bytes:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the operator's key is not an Ed25519 key")  # noqa: TRY004
    return key.public_bytes_raw()
