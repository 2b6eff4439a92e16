"""Phase 6, the client: after a quorum signed the very same sets, help to open the total.

docs/protocol.md steps 6.1–6.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from auror.crypto.tags import Tag
from auror.ids import ClientId
from auror.round.client.p4_statistics import WithView
from auror.round.client.p5_agree import Agreed
from auror.round.client.quorum import check_quorum
from auror.round.client.state import Identity
from auror.round.messages import AgreementList, UpdateShares


@dataclass(frozen=True)
class Unmasked(WithView):
    """Its shares are given; only a failed binding check asks for more."""

    accepted: frozenset[ClientId]
    """A"""


def unmask(
    identity: Identity, state: Agreed, listed: AgreementList
) -> tuple[Unmasked, UpdateShares]:
    """Shares of the update self masks of A and of the update mask keys of U2 \\ A.

    Raises:
        Refused: fewer than Q clients signed exactly my (T, h, A).
    """
    view, accepted = state.view, state.accepted
    check_quorum(
        identity, state.invitation, listed.signatures, Tag.AGREEMENT, *state.signed_parts()
    )
    shares = UpdateShares(state.guard.open(accepted, view.uploads.dealers - accepted))
    return Unmasked(state.invitation, view, state.update_mask, accepted), shares
