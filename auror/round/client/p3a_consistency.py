"""Phase 3a, the client: sign one U3 (Bonawitz 2017, figure 4, ConsistencyCheck).

docs/protocol.md steps 3.1–3.3. Before a share of anybody's r leaves: who could choose U3 after the
draw is known would choose whom a client's statistics are added to.
"""

from __future__ import annotations

from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.client.state import Identity, Invitation, Uploads
from auror.round.messages import Consistency, KeyList, UploadList
from auror.round.public import uploads_digest


def check_uploads(
    identity: Identity,
    invitation: Invitation,
    listed: KeyList,
    dealers: frozenset[ClientId],
    own_digest: Digest,
    told: UploadList,
) -> Uploads:
    """Steps 3.1–3.2: U3 is large enough for groups of g, and holds exactly what I sent.

    Raises:
        Refused: U3 is no part of U2 or too small, or my digest was changed.
    """
    uploaded = frozenset(told.digests)
    if not uploaded <= dealers:
        raise Refused(Refusal.SET_NOT_SUBSET, "U3 is not part of U2")
    if told.digests.get(identity.me) != own_digest:
        raise Refused(Refusal.DIGEST_FORGED)
    floor = max(invitation.floors.present, invitation.floors.group)
    if len(uploaded) < floor:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(uploaded)} uploaded, floor {floor}")
    digest = uploads_digest(
        invitation.transcript, listed.keys, tuple(sorted(dealers)), told.digests
    )
    return Uploads(listed, dealers, uploaded, digest)


def sign_uploads(identity: Identity, uploads: Uploads) -> Consistency:
    """Step 3.3; the caller has made the choice durable first."""
    return Consistency(identity.signing_key.sign(Tag.CONSISTENCY, uploads.digest))
