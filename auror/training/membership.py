"""A training goes on under a later version of the policy: who counts anew does."""

from __future__ import annotations

from auror.ids import ClientId
from auror.round.policy import Policy
from auror.training.state import CampaignState


def take_on(state: CampaignState, policy: Policy) -> frozenset[ClientId]:
    """Let ``state`` go by ``policy``, between two rounds.

    Evidence stays as it is. Of whom the operator reinstated since, flags and conduct are forgotten,
    and evidence of before does not accuse it by itself (``Confirmation.fresh``).

    Returns who counts anew: reinstated ones and newcomers.
    """
    before = state.version
    anew = frozenset(c for c, entry in policy.members.items() if entry.since > before)
    state.version = policy.version
    if before:
        for client in anew:
            state.confirmation.readmit(client, state.index)
            state.conduct.readmit(client)
            state.exclusions.pop(client, None)
    return anew if before else frozenset()
