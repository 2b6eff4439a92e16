"""A policy for parties that live in one process, and the first round under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.ids import ClientId, RoundId
from auror.params import PLAN_PARTS, Budget, PlanCaps, RoundParams
from auror.round.description import RoundDescription, model_digest
from auror.round.messages import RoundStart
from auror.round.plan import StatisticsPlan
from auror.round.policy import NO_DIGEST, Policy
from auror.round.roster import RosterEntry

NEVER = 2**40
"""A date, in seconds since 1970, that no run lives to see."""
_EVERY_PART = PlanCaps(parts=PLAN_PARTS)


def local_policy(
    keys: Mapping[ClientId, SigningKey],
    operator: SigningKey,
    params: RoundParams,
    budget: Budget,
    first_models: Sequence[NDArray[np.float32]],
    *,
    deployment: bytes,
    task: bytes = b"{}",
    caps: PlanCaps = _EVERY_PART,
    expires: int = NEVER,
) -> Policy:
    """Version 1, without certificates: nothing connects anywhere.

    Raises:
        ConfigError: the parameters cannot work for so many clients.
    """
    return Policy(
        deployment=deployment,
        version=1,
        expires=expires,
        predecessors=(),
        members={c: RosterEntry(c, key.verify_key, NO_DIGEST) for c, key in keys.items()},
        params=params,
        caps=caps,
        task=task,
        first_models=tuple(model_digest(model) for model in first_models),
        budget=budget,
    ).signed(operator)


def first_round(
    policy: Policy,
    plan: StatisticsPlan,
    model: NDArray[np.float32],
    cohort: tuple[ClientId, ...],
    nonce: bytes,
) -> RoundStart:
    """The invitation to step 0 of era 0, for the first time."""
    description = RoundDescription(
        deployment=policy.deployment,
        policy=policy.digest(),
        policy_version=policy.version,
        round_id=RoundId(0, nonce),
        attempt=0,
        era=0,
        step=0,
        disputed=False,
        parent=NO_DIGEST,
        model=model_digest(model),
        plan=plan.digest(),
        cohort=cohort,
    )
    return RoundStart(description, plan, model)
