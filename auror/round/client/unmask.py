"""Phase 6, the client: after a quorum signed the very same sets, help to open the total.

docs/protocol.md steps 6.1–6.2.
"""

from __future__ import annotations

from auror.crypto.signing import verify
from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed, Refusal, Refused
from auror.ids import ClientId
from auror.round.client.state import Identity, Invitation, View
from auror.round.messages import AgreementList, UpdateShares
from auror.round.public import agreement_parts


def unmask(
    identity: Identity,
    invitation: Invitation,
    view: View,
    sent: frozenset[ClientId],
    accepted: frozenset[ClientId],
    listed: AgreementList,
) -> UpdateShares:
    """Shares of the update self masks of A and of the update mask keys of U2 \\ A.

    Raises:
        Refused: fewer than Q clients signed exactly my (T, h, S, A).
    """
    parts = agreement_parts(invitation.transcript, view.digest, sent, accepted)
    valid = 0
    for client, signature in listed.signatures.items():
        if client not in view.committee:
            continue
        try:
            verify(identity.roster.verify_key(client), signature, Tag.AGREEMENT, *parts)
        except AuthenticationFailed:
            continue
        valid += 1
    quorum = invitation.topology.quorum(len(view.dealt.dealers))
    if valid < quorum:
        raise Refused(Refusal.QUORUM_MISSING, f"{valid} of {quorum} signatures")
    return UpdateShares(view.update_guard.open(accepted, view.dealt.dealers - accepted))
