"""The next version of a deployment's policy for the same members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.deployment.issuing import expiry
from auror.deployment.operator import Operator
from auror.params import RoundParams
from auror.round.description import model_digest
from auror.round.policy import Policy


def operator_policy(folder: Path) -> Policy:
    """The newest version of the deployment in ``folder``.

    Raises:
        CredentialsError: the operator's files are missing or do not fit.
    """
    return Operator(folder).policy


def next_policy(
    folder: Path,
    days: int | None,
    release_model: bool | None = None,
    further: Sequence[NDArray[np.float32]] = (),
    params: RoundParams | None = None,
) -> Policy:
    """Sign the next version of the policy of the deployment in ``folder``, and write it for
    operator, server and clients.

    Args:
        days: until it expires; None keeps the date of the version before, as it does for
            ``release_model``, whether clients get the trained model, and for ``params``.
        further: first models, (d,) each, of trainings beside those that are signed.

    Raises:
        ConfigError: days that no policy lasts.
        CredentialsError: the operator's files are missing or do not fit.
    """
    operator = Operator(folder)
    with operator.alone():
        expires = None if days is None else expiry(days)
        digests = [model_digest(model) for model in further]
        after = operator.policy.successor(operator.key, (), expires, release_model, digests, params)
        operator.publish(after, further)
    return after
