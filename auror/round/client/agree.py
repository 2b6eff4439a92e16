"""Phase 5, the client: sign one accepted set, made of whole groups.

docs/protocol.md steps 5.1–5.3.
"""

from __future__ import annotations

from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Identity, Invitation, View
from auror.round.client.statistics import group_floor
from auror.round.messages import AcceptedSet, Agreement
from auror.round.public import agreement_parts, covers


def check_accepted(
    identity: Identity,
    invitation: Invitation,
    memory: ClientMemory,
    view: View,
    sent: frozenset[ClientId],
    told: AcceptedSet,
) -> tuple[frozenset[ClientId], int]:
    """Steps 5.1–5.2. Returns A and the number of groups left out.

    Whole groups, because a total without one member of a group, minus that group's opened sum,
    would be that member's statistics.

    Raises:
        Refused: A is no part of S, splits a group, is too small, or leaves out too many.
    """
    accepted = frozenset(told.accepted)
    if len(accepted) != len(told.accepted) or not accepted <= sent:
        raise Refused(Refusal.SET_NOT_SUBSET, "A is not part of S")
    floor = group_floor(identity, invitation)
    left_out = 0
    for group in view.groups:
        members = sent & frozenset(group)
        chosen = accepted & members
        if chosen and (chosen != members or len(members) < floor):
            raise Refused(Refusal.ACCEPTED_NOT_GROUPS)
        left_out += not chosen
    lowest = identity.policy.accepted_floor()
    if len(accepted) < lowest:
        raise Refused(Refusal.ACCEPTED_TOO_SMALL, f"{len(accepted)} of {lowest}")
    if not covers(invitation.topology, invitation.graph, accepted):
        raise Refused(Refusal.ACCEPTED_TOO_SMALL, "honest neighbours could be torn apart")
    if memory.left_out + left_out > identity.policy.max_left_out:
        raise Refused(Refusal.TOO_MANY_LEFT_OUT, f"{memory.left_out + left_out} groups")
    return accepted, left_out


def agree(
    identity: Identity,
    invitation: Invitation,
    view: View,
    sent: frozenset[ClientId],
    accepted: frozenset[ClientId],
) -> Agreement:
    """Step 5.3: sign (T, h, S, A); the caller has made the choice durable first."""
    parts = agreement_parts(invitation.transcript, view.digest, sent, accepted)
    return Agreement(identity.signing_key.sign(Tag.AGREEMENT, *parts))
