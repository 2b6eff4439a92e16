"""What a server's host gets back: a folder without a secret, put beside the key that it made.

The operator signed the policy in it, which names the first models by their hashes; the certificate
is for this host's key. The CA is nobody's word but the folder's: with another one no client would
take this server, and no client is known to it by more than the key that the policy names.
"""

from __future__ import annotations

import time
from pathlib import Path

from auror.deployment.bundle import check_later, check_operator, own_key, put_beside_keys
from auror.deployment.clean_samples import read_clean
from auror.deployment.credentials import (
    End,
    TlsFiles,
    check_expiry,
    check_tls,
    load_certificates,
    load_signed,
)
from auror.deployment.first_models import load_first_models, write_first_model
from auror.deployment.policy_file import POLICY_FILE
from auror.errors import CredentialsError
from auror.round.policy import Policy


def finish_server(folder: Path, source: Path, operator: str | None = None) -> tuple[Policy, bytes]:
    """Put the operator's folder ``source`` beside the key in ``folder``, for ``auror-server``.

    Args:
        operator: fingerprint of the operator's key, as it was told over another channel; a folder
            that was finished before takes that operator's policies only.

    Returns:
        The policy that is held from now on, and the operator's key, 32 bytes.

    Raises:
        ConfigError: ``operator`` is no whole fingerprint.
        CredentialsError: files that are missing, were changed, are for another server's key or
            another operator's, have expired, or hold an older policy than the folder.
    """
    if not (source / POLICY_FILE).exists():
        raise CredentialsError(
            f"{source / POLICY_FILE} is missing: the operator approves the first members, and sends"
            " the whole folder then"
        )
    policy, signer = load_signed(source)
    check_operator(source, signer, operator)
    ca, certificate = load_certificates(source)
    tls, now = TlsFiles(ca, certificate, own_key(folder)), time.time()
    try:
        check_tls(folder, tls, End.SERVER, now)
    except (CredentialsError, ValueError) as error:
        raise CredentialsError(
            f"{source} does not fit the key in {folder} ({error}): is it another server's?"
        ) from error
    check_expiry(policy, now)
    check_later(folder, source, signer, policy)
    for era, model in enumerate(load_first_models(source, policy)):
        write_first_model(folder, era, model)
    put_beside_keys(folder, ca, signer, certificate, policy, read_clean(source, policy))
    return policy, signer
