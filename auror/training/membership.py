"""Who is wanted in the next round, and who counts anew under a later version of the policy."""

from __future__ import annotations

from auror.ids import ClientId
from auror.round.policy import Policy
from auror.training.state import CampaignState


def unwanted(state: CampaignState) -> frozenset[ClientId]:
    """Whom the training itself invites no more: flagged, proven liars, who keeps masks closed."""
    return state.conduct.uninvited | state.confirmation.flagged.keys()


def lacks_by_hand(
    policy: Policy, unwanted: frozenset[ClientId], by_hand: frozenset[ClientId]
) -> bool:
    """Exclusions by hand, and not the ``unwanted`` alone, leave too few for a round."""
    left = policy.members.keys() - unwanted
    return len(left - by_hand) < policy.fewest_present(False) <= len(left)


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
