"""Certificates, identities and the signed policy of a deployment: what ``auror certs`` writes.

TLS uses ECDSA P-256 (gRPC's TLS stack refuses Ed25519 certificates), the protocol signs with
Ed25519; the policy, signed by the operator, ties the two together per client.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from auror.crypto.entropy import Entropy, system_entropy
from auror.crypto.signing import SigningKey
from auror.crypto.tags import Tag
from auror.deployment.addresses import MAX_CLIENTS, check_host
from auror.deployment.clean_samples import CLEAN_FILE, CleanSamples, digest_of
from auror.deployment.credential_files import KEY_FILE
from auror.deployment.credentials import (
    CA_FILE,
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    OPERATOR_FILE,
    client_folder,
    key_digest,
    operator_pem,
)
from auror.deployment.first_models import write_first_model
from auror.deployment.issuing import (
    VALID_DAYS,
    check_days,
    client_certificate,
    expiry,
    issue_ca,
    issue_server,
    pem_of,
    private_pem,
)
from auror.deployment.policy_file import POLICY_FILE, policy_json
from auror.errors import ConfigError, CredentialsError
from auror.fields import default_of
from auror.ids import ClientId
from auror.params import Budget, PlanCaps, RoundParams
from auror.round.description import model_digest
from auror.round.policy import DEPLOYMENT_BYTES, NO_DIGEST, Policy
from auror.round.roster import RosterEntry

OPERATOR_FOLDER = "operator"
SERVER_FOLDER = "server"
"""What the server has to get; where its key was made elsewhere, nothing in it is secret."""
OPERATOR_KEY_FILE = "operator.key"
CA_KEY_FILE = "ca.key"
HOSTS_FILE = "hosts"
"""Names and addresses under which clients reach the server, one a line: what its certificate is
for, whoever makes its key."""
DRAFT_FILE = "draft.json"
"""A first version without its members: they are to come by ``auror enrol``."""


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
    certificate_days: int = VALID_DAYS
    """Until certificates expire."""
    release_model: bool = default_of(Policy, "release_model")
    """Whether clients get the trained model."""
    clean: CleanSamples | None = None
    """What label rows read along, for everybody to hold."""


def create_deployment(
    folder: Path,
    clients: int,
    hosts: Sequence[str],
    terms: Terms,
    entropy: Entropy = system_entropy,
    enrol_later: bool = False,
) -> Policy:
    """Write a whole deployment below ``folder`` and return its policy.

    ``operator/`` holds the two keys that only enrolling needs; ``server/`` and ``clients/NNN/`` are
    complete by themselves, to be copied to their machines. ``hosts`` are the names and addresses
    under which clients reach the server. Private files get mode 0600.

    ``enrol_later``: neither clients' keys nor the server's are made; what is returned is a draft of
    the first version, whose ``clients`` members are to come (``auror.deployment.membership``).

    Raises:
        ConfigError: no host, terms that cannot work, or not 2 … 10,000 clients.
        CredentialsError: ``folder`` holds something already, or cannot be written.
    """
    check_new(folder, clients, hosts)
    there = folder.exists()
    try:
        return _create(folder, clients, hosts, terms, entropy, enrol_later)
    except BaseException as error:
        for name in (OPERATOR_FOLDER, SERVER_FOLDER, "clients"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise CredentialsError(
            f"cannot write {error.filename or folder}: {error.strerror}; choose another folder"
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
    folder: Path,
    clients: int,
    hosts: Sequence[str],
    terms: Terms,
    entropy: Entropy,
    enrol_later: bool,
) -> Policy:
    check_days("certificate_days", terms.certificate_days)
    clean = None if terms.clean is None else terms.clean.to_bytes()
    deployment = entropy(DEPLOYMENT_BYTES)
    operator = SigningKey.draw(entropy)
    identities = {ClientId(i): SigningKey.draw(entropy) for i in range(clients)}
    draft = Policy(  # checked before the first file is written
        deployment=deployment,
        version=1,
        expires=expiry(terms.days),
        predecessors=(),
        members={i: RosterEntry(i, key.verify_key, NO_DIGEST) for i, key in identities.items()},
        params=terms.params,
        caps=terms.caps,
        task=terms.task,
        first_models=tuple(model_digest(model) for model in terms.first_models),
        budget=terms.budget,
        clean_samples=digest_of(clean),
        release_model=terms.release_model,
    )
    draft.check()
    ca = issue_ca(ca_name(draft))
    roots = {CA_FILE: ca.certificate_pem, OPERATOR_FILE: operator_pem(operator.verify_key)}
    if clean is not None:
        roots[CLEAN_FILE] = clean
    if enrol_later:
        policy, public = draft, roots
        # under a tag of its own: nobody takes a draft for a version
        signature = operator.sign(Tag.POLICY_DRAFT, *draft.signed_parts())
        signed = {DRAFT_FILE: policy_json(replace(draft, signature=signature))}
    else:
        keys = {i: ec.generate_private_key(ec.SECP256R1()) for i in identities}
        members = {
            i: replace(entry, tls_key=key_digest(keys[i].public_key()))
            for i, entry in draft.members.items()
        }
        policy = replace(draft, members=members).signed(operator)
        signed = {POLICY_FILE: policy_json(policy)}
        public = {**roots, **signed}
        for i, key in keys.items():
            issued = client_certificate(
                ca, ca_name(policy), i, key.public_key(), terms.certificate_days
            )
            write_new(
                client_folder(folder, i),
                {CERTIFICATE_FILE: pem_of(issued)},
                {KEY_FILE: private_pem(key), IDENTITY_FILE: identities[i].to_pem()},
            )
            _write_alike(client_folder(folder, i), public, client_folder(folder, min(keys)))
    private = {CA_KEY_FILE: ca.key_pem, OPERATOR_KEY_FILE: operator.to_pem()}
    named = {HOSTS_FILE: "".join(f"{host}\n" for host in hosts).encode()}
    write_new(folder / OPERATOR_FOLDER, {**roots, **named, **signed}, private)
    write_new(folder / SERVER_FOLDER, public, {})
    if not enrol_later:
        server = issue_server(ca, hosts, terms.certificate_days)
        write_new(
            folder / SERVER_FOLDER,
            {CERTIFICATE_FILE: server.certificate_pem},
            {KEY_FILE: server.key_pem},
        )
    for era, model in enumerate(terms.first_models):
        write_first_model(folder / SERVER_FOLDER, era, model)
    return policy


def _write_alike(folder: Path, public: dict[str, bytes], first: Path) -> None:
    """What all clients hold: one file under many names, where the disk can. The policy names every
    client, so that copies for 10,000 would take 25 GB. Nobody writes into these files: a later
    version replaces its name."""
    for name, content in public.items():
        try:
            os.link(first / name, folder / name)
        except OSError:
            write_new(folder, {name: content}, {})


def ca_name(policy: Policy) -> str:
    """How the certificates of a deployment name it."""
    return f"auror-{policy.name[:8]}"


def write_new(folder: Path, public: dict[str, bytes], private: dict[str, bytes]) -> None:
    """Files that are not there yet, the ``private`` ones for this user only.

    Raises:
        OSError: one is there, or cannot be written; of the others none is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    path = folder
    try:
        for files, mode in ((public, 0o644), (private, 0o600)):
            for name, content in files.items():
                # the mode is set when the file is made: a key is never readable, not even briefly
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                path = folder / name
                with os.fdopen(os.open(path, flags, mode), "wb") as file:
                    made.append(path)
                    file.write(content)
    except OSError as error:
        for one in made:  # nobody has seen them
            one.unlink(missing_ok=True)
        error.filename = str(path)  # a write that fails names no file
        raise
