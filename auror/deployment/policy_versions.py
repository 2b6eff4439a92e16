"""The versions of a deployment's policy, where the operator keeps its key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.deployment.certs import OPERATOR_FOLDER, OPERATOR_KEY_FILE, expiry, write_first_model
from auror.deployment.credentials import OPERATOR_FILE, client_folder, load_policy, operator_pem
from auror.deployment.policy_file import POLICY_FILE, policy_json
from auror.errors import CredentialsError
from auror.files import replace_file
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.description import model_digest
from auror.round.policy import Policy


def operator_policy(folder: Path) -> Policy:
    """The newest version of the deployment in ``folder``.

    Raises:
        CredentialsError: the operator's files are missing or do not fit.
    """
    return load_policy(folder / OPERATOR_FOLDER)


def next_policy(
    folder: Path,
    without: Collection[ClientId],
    days: int | None,
    release_model: bool | None = None,
    further: Sequence[NDArray[np.float32]] = (),
    params: RoundParams | None = None,
) -> Policy:
    """Sign the next version of the policy of the deployment in ``folder``, without some members,
    and write it for operator, server and the clients that stay.

    Args:
        days: until it expires; None keeps the date of the version before, as it does for
            ``release_model``, whether clients get the trained model, and for ``params``.
        further: first models, (d,) each, of trainings beside those that are signed.

    Raises:
        ConfigError: one of ``without`` is no member, or too few would be left.
        CredentialsError: the operator's files are missing or do not fit.
    """
    home = folder / OPERATOR_FOLDER
    before = operator_policy(folder)
    try:
        operator = SigningKey.from_pem((home / OPERATOR_KEY_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"{home / OPERATOR_KEY_FILE} is missing or not a key: run this where the folder that"
            " `auror certs` made is kept"
        ) from error
    if operator_pem(operator.verify_key) != (home / OPERATOR_FILE).read_bytes():
        raise CredentialsError(
            f"{home / OPERATOR_KEY_FILE} is another operator's: {OPERATOR_FILE} does not fit it"
        )
    expires = before.expires if days is None else expiry(days)
    digests = [model_digest(model) for model in further]
    after = before.successor(operator, without, expires, release_model, digests, params)
    for era, model in enumerate(further, before.eras):  # a policy never names what is not there
        write_first_model(folder / "server", era, model)
    folders = [home, folder / "server", *(client_folder(folder, c) for c in after.members)]
    for one in (one for one in folders if one.is_dir()):
        try:
            replace_file(one / POLICY_FILE, policy_json(after))
        except OSError as error:
            raise CredentialsError(f"cannot write {one / POLICY_FILE}: {error.strerror}") from error
    return after
