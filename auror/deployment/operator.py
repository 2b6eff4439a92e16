"""The operator's folder: its keys, the newest version of the policy, and how the next is written.

Versions must not fork, so whoever signs one holds the folder's lock from reading the version before
to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag
from auror.deployment.addresses import check_host
from auror.deployment.canonical import write_whole
from auror.deployment.certs import (
    CA_KEY_FILE,
    DRAFT_FILE,
    HOSTS_FILE,
    OPERATOR_FOLDER,
    OPERATOR_KEY_FILE,
    SERVER_FOLDER,
)
from auror.deployment.clean_samples import read_clean
from auror.deployment.credentials import (
    CA_FILE,
    OPERATOR_FILE,
    check_private,
    client_folder,
    load_operator,
    load_policy,
    operator_pem,
    read_ca,
)
from auror.deployment.first_models import write_first_model
from auror.deployment.issuing import Issued
from auror.deployment.locks import Lock
from auror.deployment.policy_file import POLICY_FILE, parse_policy, policy_json
from auror.errors import AuthenticationFailed, ConfigError, CredentialsError
from auror.round.policy import Policy


class Operator:
    """Whoever holds the deployment in ``folder``, as ``auror certs`` made it."""

    def __init__(self, folder: Path) -> None:
        """Raises CredentialsError: the operator's key is missing, does not fit, or others can read
        it."""
        self.folder, self.home = folder, folder / OPERATOR_FOLDER
        self.server = folder / SERVER_FOLDER
        """What the server has to get."""
        try:
            self.key = SigningKey.from_pem((self.home / OPERATOR_KEY_FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise CredentialsError(
                f"{self.home / OPERATOR_KEY_FILE} is missing or not a key: run this where the"
                " folder that `auror certs` made is kept"
            ) from error
        if operator_pem(self.key.verify_key) != load_operator(self.home):
            raise CredentialsError(
                f"{self.home / OPERATOR_KEY_FILE} is another operator's: {OPERATOR_FILE} does not"
                " fit it"
            )
        check_private(self.home / OPERATOR_KEY_FILE)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else signs a version meanwhile. Raises ConfigError: somebody does."""
        busy = f"another process changes {self.folder}; wait for it"
        with Lock(self.home / "operator.lock", "DIR", busy):
            yield

    @property
    def policy(self) -> Policy:
        """The newest version.

        Raises:
            CredentialsError: it is missing or broken, or no member was approved yet.
        """
        if self.draft is not None:
            raise CredentialsError(
                f"{self.folder} has no members yet: approve the requests of the first ones together"
                f" with `auror approve {self.folder} REQUEST …`"
            )
        return load_policy(self.home)

    @property
    def draft(self) -> Policy | None:
        """The first version without its members, until they are approved."""
        path = self.home / DRAFT_FILE
        if (self.home / POLICY_FILE).exists() or not path.exists():
            return None
        try:
            draft = parse_policy(path.read_bytes())
            verify(self.key.verify_key, draft.signature, Tag.POLICY_DRAFT, *draft.signed_parts())
            return draft
        except (OSError, ValueError, ConfigError, AuthenticationFailed) as error:
            raise CredentialsError(
                f"{path} is damaged, or was changed ({error}): make a new deployment with `auror"
                " certs`"
            ) from error

    def ca(self) -> Issued:
        """The deployment's CA. Raises CredentialsError: missing, not a pair, or readable by all."""
        path = self.home / CA_KEY_FILE
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(read_ca(self.home))
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("not on a curve")  # noqa: TRY004 - one error for any key
            certificate.verify_directly_issued_by(certificate)
            if key.public_key() != certificate.public_key():
                raise ValueError(f"{CA_FILE} is another's")
        except (OSError, ValueError, TypeError, InvalidSignature) as error:
            raise CredentialsError(
                f"{path} is missing or does not fit {CA_FILE}: run this where the folder that"
                " `auror certs` made is kept"
            ) from error
        check_private(path)
        return Issued(certificate, key)

    def hosts(self) -> tuple[str, ...]:
        """The names that the server's certificate is for, the first one for bundles.

        Raises:
            ConfigError: one that no certificate can name.
            CredentialsError: they are missing.
        """
        path = self.home / HOSTS_FILE
        try:
            found = tuple(path.read_text(encoding="utf-8").split())
        except (OSError, ValueError) as error:
            raise CredentialsError(
                f"{path} is missing or no text: put in, one a line, the names under which clients"
                " reach the server"
            ) from error
        if not found:
            raise CredentialsError(f"{path} names no host under which clients reach the server")
        for host in found:
            check_host(str(path), host)
        return found

    def publish(self, policy: Policy, further: Sequence[NDArray[np.float32]] = ()) -> None:
        """Write ``policy`` for the operator, the server and the clients that are members.

        Args:
            further: first models, (d,) each, that it names beside those of the version before.

        Raises:
            CredentialsError: a file cannot be written, or the clean samples are not here.
        """
        read_clean(self.home, policy)  # what is signed can be handed out
        for era, model in enumerate(further, policy.eras - len(further)):
            write_first_model(self.server, era, model)  # it names what is there
        folders = [self.home, self.server]
        folders += [client_folder(self.folder, client) for client in policy.members]
        for one in (one for one in folders if one.is_dir()):
            write_whole(one / POLICY_FILE, policy_json(policy))
        (self.home / DRAFT_FILE).unlink(missing_ok=True)  # there is one first version
