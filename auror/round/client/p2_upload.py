"""Phase 2, the client: quantise, mask and upload (docs/protocol.md steps 2.1–2.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.round.client.state import Identity, Invitation, RoundSecrets
from auror.round.messages import KeyList, Upload
from auror.round.public import upload_digest
from auror.secagg.client.masked_input import mask_input


def upload(
    identity: Identity,
    invitation: Invitation,
    secrets: RoundSecrets,
    listed: KeyList,
    dealers: frozenset[ClientId],
    update: NDArray[np.float32],
    rounding: Secret,
) -> tuple[NDArray[np.uint32], Upload]:
    """Returns the quantised update q_i (kept for the statistics) and the message.

    Raises:
        Refused: the update has another length than the model, or values that are not finite.
    """
    if update.shape != (invitation.start.plan.dim,):
        raise Refused(Refusal.BAD_UPDATE, f"shape {update.shape}")
    quantised = invitation.quantiser().quantise(update, rounding)
    context = invitation.update_context()
    peers = invitation.graph.among(identity.me, dealers)
    masked = mask_input(
        context,
        identity.me,
        secrets.update,
        {peer: listed.keys[peer].update_mask for peer in peers},
        quantised,
    )
    payload = context.ring.to_bytes(masked)
    return quantised, Upload(payload, upload_digest(invitation.transcript, identity.me, payload))
