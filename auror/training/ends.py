"""What a training ends with: a model, or one line for the operator where it ends too early."""

from __future__ import annotations

from collections.abc import Collection

from auror.errors import MembersMissing, UntrainedError
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.messages import FinalModel
from auror.round.policy import Policy
from auror.training.config import CampaignConfig
from auror.training.succession import ModelSuccession


def check_failures(models: ModelSuccession, config: CampaignConfig) -> None:
    """Raises UntrainedError when too many rounds of this training had no total."""
    if models.failed >= config.most_failed and models.era_round < config.rounds:
        raise UntrainedError(
            f"max_failed = {config.most_failed}: {models.failed} rounds of this training ended"
            f" without a total, {models.era_round} of {config.rounds} with one; see the log for"
            " why, and start again with a larger value to go on"
        )


def check_steps(models: ModelSuccession, policy: Policy, config: CampaignConfig) -> None:
    """Raises UntrainedError when clients would take part in no further step of this training."""
    most = policy.budget.max_steps
    if models.step >= most:
        raise UntrainedError(
            f"the policy allows {most} steps of a training and all are used, {models.era_round}"
            f" of {config.rounds} rounds ended with a total: enrol with a larger `auror certs"
            " --rounds`"
        )


def check_members(policy: Policy, invitable: Collection[ClientId]) -> None:
    """Raises MembersMissing when exclusions leave fewer than the policy's floor."""
    floor, left = policy.fewest_present(False), len(invitable)
    if left < floor:
        names = ",".join(map(str, sorted(policy.members.keys() - set(invitable))))
        raise MembersMissing(
            f"{left} of {len(policy.members)} members are left, the policy's floor is"
            f" {floor}: let the operator run `auror roster revoke DIR {names}`, copy"
            " server/policy.json to the server, and start server and clients again to resume"
        )


def released(models: ModelSuccession, policy: Policy) -> FinalModel | None:
    """For clients, when the training is over; None: nothing was trained, or ``policy`` keeps it
    back."""
    if not models.trained or not policy.release_model:
        return None
    return FinalModel(
        policy=policy.digest(),
        era=models.era,
        step=models.step,
        parent=models.parent,
        digest=model_digest(models.model),
        model=models.model.copy(),
    )
