"""How many rounds are to be trained: those that were asked for, or more of a finished run."""

from __future__ import annotations

from pathlib import Path

from auror.errors import ConfigError
from auror.round.policy import Policy
from auror.training.state import CampaignState
from auror_server.config import SessionSection


def rounds_to_train(
    settings: SessionSection, found: CampaignState | None, policy: Policy, folder: Path
) -> int:
    """Rounds of one training. ``found``: the state in ``folder``, if there is any.

    The command that extends a run resumes it as well: it adds rounds once.

    Raises:
        ConfigError: there is nothing to extend, the run has another number of rounds, or clients
            would refuse the additional ones under ``policy``.
    """
    more = settings.add_rounds
    if not more:
        if found is not None and found.rounds != settings.rounds:
            raise ConfigError(
                f"{folder} holds an unfinished run of {found.rounds} rounds: use `--rounds"
                f" {found.rounds}`, or choose another server.run_dir"
            )
        return settings.rounds
    if found is None:
        raise ConfigError(
            f"session.add_rounds = {more}: {folder} holds no run to extend; name its folder in"
            f" server.run_dir, or train anew with `--rounds {more}`"
        )
    if not found.over:
        if found.extended and found.extended + more == found.rounds:
            return found.rounds
        raise ConfigError(
            f"session.add_rounds = {more}: {folder} holds an unfinished run of {found.rounds}"
            f" rounds; finish it with `--rounds {found.rounds}` first"
        )
    _check_policy(found, policy, more)
    return found.rounds + more


def _check_policy(found: CampaignState, policy: Policy, more: int) -> None:
    """An extension goes on where the training ended: its steps are numbered on, and clients count
    attempts and totals on. The server knows at least the rounds that it booked."""
    budget, models = policy.budget, found.models
    for used, allowed, what in (
        (models.step, budget.max_steps, "steps of a training"),
        (found.totals, budget.max_totals, "totals of a client"),
        (found.attempts, budget.max_openings, "attempts of a client"),
    ):
        if used + more > allowed:
            raise ConfigError(
                f"session.add_rounds = {more}: the policy allows {allowed} {what} and {used} are"
                f" used: add at most {max(0, allowed - used)}, or enrol with a larger `auror certs"
                " --rounds`"
            )
