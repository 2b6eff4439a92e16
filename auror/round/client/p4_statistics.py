"""Phase 4, the client: check the public randomness, derive the groups itself, send statistics.

docs/protocol.md steps 4.1–4.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import SECRET_BYTES, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.round.arithmetic import statistics_context
from auror.round.client.p1_share_keys import verify_keys
from auror.round.client.state import Identity, Invitation, Uploads, View
from auror.round.messages import MaskedStatistics, RandomnessList
from auror.round.public import draw_groups, view_digest
from auror.secagg.client.masked_input import mask_pairwise
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import secret_commitment


def form_view(
    identity: Identity, invitation: Invitation, uploads: Uploads, told: RandomnessList
) -> View:
    """Steps 4.1–4.4: groups and challenge follow from T, U3 and all r, each of them committed to
    before anybody could know another.

    Raises:
        Refused: an r is missing, or not the one its owner committed to in phase 0; or the groups
            are smaller than my floor.
    """
    if told.randomness.keys() != uploads.dealers:
        raise Refused(Refusal.RANDOMNESS_FORGED, "contributions are not those of U2")
    for client, value in told.randomness.items():
        if len(value) != SECRET_BYTES:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}: {len(value)} bytes")
        commitment = secret_commitment(
            invitation.transcript, client, SecretKind.RANDOMNESS, Secret(value)
        )
        if commitment != uploads.keys.keys[client].randomness:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}")
    uploaded = tuple(sorted(uploads.uploaded))
    seed = identity.public_seed(invitation.transcript, uploaded, told.randomness)
    groups = draw_groups(seed, uploaded, invitation.params.group_size)
    smallest = min(map(len, groups))
    if smallest < invitation.floors.group:
        raise Refused(
            Refusal.GROUP_TOO_SMALL, f"group of {smallest}, floor {invitation.floors.group}"
        )
    plan = invitation.start.plan.with_challenge(seed, invitation.params.challenge_rows)
    digest = view_digest(uploads.digest, told.randomness, groups, plan.digest())
    return View(uploads, groups, plan, digest)


def send_statistics(
    identity: Identity,
    invitation: Invitation,
    mask_key: KeyPair,
    held: frozenset[ClientId],
    view: View,
    quantised: NDArray[np.uint32],
) -> MaskedStatistics:
    """Steps 4.5–4.6: u_i = P·q_i, masked against everybody else in my group, under h.

    No self mask and no recovery: the sum of the group appears when all its members have sent under
    this very h, and never otherwise.
    """
    peers = set(view.group_of(identity.me)) - {identity.me}
    keys = view.uploads.keys
    verify_keys(identity, invitation, peers - held, keys)
    context = statistics_context(view.digest, view.plan.rows)
    masked = mask_pairwise(
        context,
        identity.me,
        mask_key,
        {peer: keys.keys[peer].statistics_mask for peer in peers},
        view.plan.apply(quantised),
    )
    signature = identity.signing_key.sign(Tag.VIEW_SIGNATURE, view.digest)
    return MaskedStatistics(context.ring.to_bytes(masked), signature)
