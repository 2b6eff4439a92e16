"""Phase 6, the client: after a quorum signed the very same sets, help to open the total.

docs/protocol.md steps 6.1–6.2.
"""

from __future__ import annotations

from auror.crypto.tags import Tag
from auror.ids import ClientId
from auror.round.client.quorum import check_quorum
from auror.round.client.state import Identity, Invitation, View
from auror.round.messages import AgreementList, UpdateShares
from auror.round.public import agreement_parts
from auror.secagg.client.unmask import OpeningGuard


def unmask(
    identity: Identity,
    invitation: Invitation,
    view: View,
    guard: OpeningGuard,
    accepted: frozenset[ClientId],
    listed: AgreementList,
) -> UpdateShares:
    """Shares of the update self masks of A and of the update mask keys of U2 \\ A.

    Raises:
        Refused: fewer than Q clients signed exactly my (T, h, A).
    """
    parts = agreement_parts(invitation.transcript, view.digest, accepted)
    check_quorum(identity, invitation, listed.signatures, Tag.AGREEMENT, *parts)
    return UpdateShares(guard.open(accepted, view.uploads.dealers - accepted))
