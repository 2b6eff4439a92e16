"""Phase 2, the client: quantise, mask and upload (docs/protocol.md steps 2.0–2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.client.label_rows import check_output_rows
from auror.round.client.state import HeldShares, Identity, RoundSecrets, WiredInvitation
from auror.round.label_rows import ClassMeans
from auror.round.lists import ShownKeys
from auror.round.messages import Upload
from auror.round.public import upload_digest
from auror.secagg.client.masked_input import mask_input


@dataclass(frozen=True)
class WithKnownDealers:
    """The states that know U2, up to the upload."""

    invitation: WiredInvitation
    secrets: RoundSecrets
    keys: ShownKeys
    held: HeldShares
    dealers: frozenset[ClientId]
    """U2"""


@dataclass(frozen=True)
class Training(WithKnownDealers):
    """The update is not known yet."""


@dataclass(frozen=True)
class Uploaded(WithKnownDealers):
    """Its masked update is out."""

    quantised: NDArray[np.uint32] = field(repr=False)
    """q_i, kept for the statistics."""
    digest: Digest


@dataclass(frozen=True)
class Trained:
    """What a trainer has made of the round's model."""

    update: NDArray[np.float32] = field(repr=False)
    rounding: Secret
    """The seed of its stochastic rounding, fresh in every round."""
    class_means: ClassMeans | None
    """None for a trainer that knows no classes."""


def upload(identity: Identity, state: Training, trained: Trained) -> tuple[Uploaded, Upload]:
    """Steps 2.0–2.3.

    Raises:
        Refused: the plan reads the output layer along other rows than this client finds; or the
            update has another length than the model, or values that are not finite.
    """
    invitation, update = state.invitation, trained.update
    policy = identity.policy
    bits, signed = policy.params.label_row_bits(), policy.signs_samples
    check_output_rows(invitation.start.plan, trained.class_means, bits, signed)
    if update.shape != (invitation.start.plan.dim,):
        raise Refused(Refusal.BAD_UPDATE, f"shape {update.shape}")
    quantised = invitation.quantiser().quantise(update, trained.rounding)
    context = invitation.update_context()
    peers = invitation.graph.among(identity.me, state.dealers)
    masked = mask_input(
        context,
        identity.me,
        state.secrets.update,
        {peer: state.keys.keys[peer].update_mask for peer in peers},
        quantised,
    )
    payload = context.ring.to_bytes(masked)
    digest = upload_digest(invitation.transcript, identity.me, payload)
    known = invitation, state.secrets, state.keys, state.held, state.dealers
    return Uploaded(*known, quantised, digest), Upload(payload, digest)
