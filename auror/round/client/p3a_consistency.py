"""Phase 3a, the client: sign one U3 (Bonawitz 2017, figure 4, ConsistencyCheck).

docs/protocol.md steps 3.1–3.3. Before a share of anybody's r leaves: who could choose U3 after the
draw is known would choose whom a client's statistics are added to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.client.p2_upload import Uploaded
from auror.round.client.state import HeldShares, Identity, RoundSecrets, WiredInvitation
from auror.round.client.told_sets import part_of
from auror.round.lists import ShownKeys, digests_root
from auror.round.messages import Consistency, UploadList
from auror.round.public import uploads_digest


@dataclass(frozen=True)
class KnownUploads:
    """U3, and the digest that names all this client was told so far."""

    keys: ShownKeys
    dealers: frozenset[ClientId]
    """U2"""
    uploaded: frozenset[ClientId]
    """U3"""
    digest: Digest


@dataclass(frozen=True)
class WithKnownUploads:
    """The states that know U3."""

    invitation: WiredInvitation
    secrets: RoundSecrets
    held: HeldShares
    uploads: KnownUploads
    quantised: NDArray[np.uint32] = field(repr=False)


@dataclass(frozen=True)
class SignedUploads(WithKnownUploads):
    """U3 is fixed for this client; whether for the others too, a quorum must say."""


def check_uploads(identity: Identity, state: Uploaded, told: UploadList) -> SignedUploads:
    """Steps 3.1–3.2: U3 is large enough for groups of g, and I am in it, with exactly what I sent:
    another digest at my place would give another root than the others'.

    Raises:
        Refused: U3 is no part of U2 or too small, or I am not in it.
    """
    uploaded = part_of("U3", told.uploaded, "U2", state.dealers)
    floor = max(state.invitation.floors.present, state.invitation.floors.group)
    if len(uploaded) < floor:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(uploaded)} uploaded, floor {floor}")
    root = digests_root(told, identity.me, state.digest)
    digest = uploads_digest(
        state.invitation.transcript, state.keys.digest, state.dealers, uploaded, root
    )
    uploads = KnownUploads(state.keys, state.dealers, uploaded, digest)
    return SignedUploads(state.invitation, state.secrets, state.held, uploads, state.quantised)


def sign_uploads(identity: Identity, state: SignedUploads) -> Consistency:
    """Step 3.3; the caller has made the choice durable first."""
    return Consistency(identity.signing_key.sign(Tag.CONSISTENCY, state.uploads.digest))
