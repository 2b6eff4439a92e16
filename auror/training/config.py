"""What an operator chooses for one training, and whether the signed policy allows it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from auror.errors import ConfigError
from auror.params import RATED_CLIENTS
from auror.round.policy import Policy
from auror.training.detectors import DecodedDetector, decoded_detector
from auror.training.observations import PlanChoice
from auror.training.verdict import Detector

_LEAST_FAILED = 10


class AfterFlag(enum.Enum):
    """What happens to the training once somebody was flagged."""

    RESTART = "restart"
    """Train again from a *new* initial model without the flagged, as the paper does. From the
    same one, the difference of two first totals would be a flagged client's update."""
    CONTINUE = "continue"
    """Go on with the model as it is, without the flagged."""


@dataclass(frozen=True, kw_only=True)
class CampaignConfig:
    """One training run."""

    rounds: int
    """Rounds of one training, each with a total; a restart trains as many again."""
    max_failed: int = 0
    """Most rounds of one training without a total; 0: as many as ``rounds``, ten at least."""
    after_flag: AfterFlag = AfterFlag.RESTART
    plan: PlanChoice = field(default_factory=PlanChoice)
    defend: bool = True
    """Whether verdicts have consequences; without, every opened group is accepted."""
    detector: Detector = decoded_detector
    flag_small_cohorts: bool = False
    """Whether detector ``decoded`` flags in cohorts of fewer than 15 clients too, where its error
    rate is not claimed; without, whom it accuses there is shown, and nobody is tested or flagged.
    """

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds = {self.rounds}: choose 1 or more")
        if self.max_failed < 0:
            raise ConfigError(f"max_failed = {self.max_failed}: choose 0 or more")

    @property
    def most_failed(self) -> int:
        """Rounds without a total after which a training is given up."""
        return self.max_failed or max(_LEAST_FAILED, self.rounds)

    def rated(self, clients: int) -> bool:
        """Whether the detector's error rate, if it has one, is claimed of so many enrolled."""
        return clients >= RATED_CLIENTS or not isinstance(self.detector, DecodedDetector)

    def watches_only(self, clients: int) -> bool:
        """Whether verdicts on so many enrolled are shown and have no consequences."""
        return self.defend and not self.flag_small_cohorts and not self.rated(clients)

    @property
    def restarts(self) -> bool:
        """Whether a flag makes a second training."""
        return self.defend and self.after_flag is AfterFlag.RESTART


def check_campaign(config: CampaignConfig, policy: Policy) -> None:
    """Raises ConfigError when ``policy`` allows less than ``config`` wants."""
    if config.rounds > policy.budget.max_steps:
        raise ConfigError(
            f"rounds = {config.rounds}: the policy allows {policy.budget.max_steps} steps of a"
            " training; choose fewer, or enrol with `auror certs --rounds`"
        )
    check_eras(config, policy, 0)
    if config.flag_small_cohorts and config.defend and config.rated(len(policy.members)):
        raise ConfigError(
            f"flag_small_cohorts = true has no effect with {len(policy.members)} clients: leave it"
            " out"
        )


def check_eras(config: CampaignConfig, policy: Policy, used: int) -> None:
    """Raises ConfigError when ``policy`` signs too few trainings for another run after ``used``."""
    may_flag = not config.watches_only(len(policy.members))
    left, wanted = policy.eras - used, 1 + (config.restarts and may_flag)
    if left >= wanted:
        return
    others = f" and clients took part in {used} of them" if used else ""
    more = "enrol with `auror certs --trainings 2`"
    if used:
        more = "let the operator run `auror policy next DIR --trainings N` and copy what it says"
    if left < 1:
        raise ConfigError(f"the policy signs {policy.eras} trainings{others}: {more}")
    raise ConfigError(
        f'after_flag = "restart" may train twice, the policy signs {policy.eras}{others}:'
        f' choose "continue", or {more}'
    )
