"""Phase 5, the client: sign one accepted set, made of whole groups.

docs/protocol.md steps 5.2–5.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.p4_statistics import SentStatistics, View, WithView
from auror.round.client.state import Identity
from auror.round.client.told_sets import part_of
from auror.round.messages import AcceptedSet, Agreement
from auror.round.public import agreement_parts, count_left_out, covers
from auror.secagg.client.unmask import OpeningGuard


@dataclass(frozen=True)
class Agreed(WithView):
    """A is fixed for this client; whether for the others too, a quorum must say."""

    guard: OpeningGuard
    accepted: frozenset[ClientId]
    """A"""

    def signed_parts(self) -> tuple[bytes, ...]:
        """(T, h, A)"""
        return agreement_parts(self.invitation.transcript, self.view.digest, self.accepted)


def check_accepted(
    identity: Identity, state: SentStatistics, told: AcceptedSet
) -> tuple[Agreed, int]:
    """Steps 5.2–5.3. Returns the number of groups left out, too.

    Whole groups, because a total without one member of a group, minus that group's opened sum,
    would be that member's statistics.

    Raises:
        Refused: A is no part of U3, splits a group, is too small, or holds somebody who did not
            sign my view.
    """
    invitation, view = state.invitation, state.view
    accepted = part_of("A", told.accepted, "U3", view.uploads.uploaded)
    try:
        left_out = count_left_out(view.groups, accepted)
    except ValueError as error:
        raise Refused(Refusal.ACCEPTED_NOT_GROUPS) from error
    _check_signed(identity, view, state.guard.dealers - {identity.me}, accepted, told)
    lowest = invitation.floors.accepted
    if len(accepted) < lowest:
        raise Refused(Refusal.ACCEPTED_TOO_SMALL, f"{len(accepted)} of {lowest}")
    if not covers(invitation.topology, invitation.graph, accepted):
        raise Refused(Refusal.ACCEPTED_TOO_SMALL, "honest neighbours could be torn apart")
    return Agreed(invitation, view, state.update_mask, state.guard, accepted), left_out


def agree(identity: Identity, state: Agreed) -> Agreement:
    """Step 5.4: sign (T, h, A); the caller has made the choice durable first."""
    return Agreement(identity.signing_key.sign(Tag.AGREEMENT, *state.signed_parts()))


def _check_signed(
    identity: Identity,
    view: View,
    held: frozenset[ClientId],
    accepted: frozenset[ClientId],
    told: AcceptedSet,
) -> None:
    """Whether every member of A whose shares I hold signed h."""
    missing = (accepted & held) - told.signatures.keys()
    if missing:
        raise Refused(Refusal.VIEW_DISAGREES, f"client {min(missing)} did not sign")
    for member in sorted(accepted & held):
        try:
            verify(
                identity.policy.verify_key(member),
                told.signatures[member],
                Tag.VIEW_SIGNATURE,
                view.digest,
            )
        except AuthenticationFailed as error:
            raise Refused(Refusal.VIEW_DISAGREES, f"client {member}") from error
