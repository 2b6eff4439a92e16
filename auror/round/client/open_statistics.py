"""Phase 4, the client: help to open group sums, only for members that saw the same round.

docs/protocol.md steps 4.1–4.3.
"""

from __future__ import annotations

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.state import Identity, Invitation, View
from auror.round.client.statistics import group_floor
from auror.round.messages import StatisticsList, StatisticsShares


def open_statistics(
    identity: Identity, invitation: Invitation, view: View, listed: StatisticsList
) -> tuple[frozenset[ClientId], StatisticsShares]:
    """Shares of the self masks of S, and of the mask keys of those who uploaded but sent nothing.

    Nothing at all for a group below the floor. Returns S and the message.

    Raises:
        Refused: S is no part of U3, or a member signed another view than mine.
    """
    sent = frozenset(listed.signatures)
    if not sent <= view.uploaded:
        raise Refused(Refusal.SET_NOT_SUBSET, "S is not part of U3")
    if len(sent) < identity.policy.accepted_floor():
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(sent)} sent statistics")
    for member in sorted(sent & view.dealt.held.keys()):
        try:
            verify(
                identity.roster.verify_key(member),
                listed.signatures[member],
                Tag.VIEW_SIGNATURE,
                invitation.transcript,
                view.digest,
            )
        except AuthenticationFailed as error:
            raise Refused(Refusal.VIEW_DISAGREES, f"client {member}") from error
    floor = group_floor(identity, invitation)
    seeds: set[ClientId] = set()
    keys: set[ClientId] = set()
    for group in view.groups:
        summed = sent & frozenset(group)
        if len(summed) >= floor:
            seeds |= summed
            keys |= (view.uploaded & frozenset(group)) - summed
    shares = view.statistics_guard.open(frozenset(seeds), frozenset(keys))
    return sent, StatisticsShares(shares)
