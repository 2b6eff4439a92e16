"""Phase 3, the client: check the public randomness, derive the groups itself, send statistics.

docs/protocol.md steps 3.1–3.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import SECRET_BYTES, Secret
from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import Digest
from auror.round.client.share_keys import verify_keys
from auror.round.client.state import Dealt, Identity, Invitation, RoundSecrets, View
from auror.round.messages import KeyList, MaskedStatistics, UploadList
from auror.round.public import draw_committee, draw_groups, view_digest
from auror.secagg.client.masked_input import mask_input
from auror.secagg.client.unmask import OpeningGuard
from auror.secagg.instance import Instance, SecretKind
from auror.secagg.sharing import secret_commitment


def form_view(
    identity: Identity,
    invitation: Invitation,
    listed: KeyList,
    dealt: Dealt,
    secrets: RoundSecrets,
    own_digest: Digest,
    told: UploadList,
) -> View:
    """Steps 3.1–3.3: verify what can be verified, derive groups and challenge from all r.

    Raises:
        Refused: U3 is no part of U2 or too small, my digest was changed, or an r does not match
            the commitment its owner signed in phase 0.
    """
    uploaded = frozenset(told.digests)
    if not uploaded <= dealt.dealers:
        raise Refused(Refusal.SET_NOT_SUBSET, "U3 is not part of U2")
    if told.digests.get(identity.me) != own_digest:
        raise Refused(Refusal.DIGEST_FORGED)
    floor = max(identity.policy.min_cohort, invitation.topology.fewest)
    if len(uploaded) < floor:
        raise Refused(Refusal.COHORT_TOO_SMALL, f"{len(uploaded)} uploaded, floor {floor}")
    if told.randomness.keys() != dealt.dealers:
        raise Refused(Refusal.RANDOMNESS_FORGED, "contributions are not those of U2")
    for client, value in told.randomness.items():
        if len(value) != SECRET_BYTES:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}: {len(value)} bytes")
        commitment = secret_commitment(
            invitation.transcript, client, SecretKind.RANDOMNESS, Secret(value)
        )
        if commitment != listed.keys[client].randomness:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}")
    seed = identity.public_seed(invitation.transcript, told.randomness)
    dealers = tuple(sorted(dealt.dealers))
    groups = draw_groups(seed, dealers, invitation.params.group_size)
    committee = draw_committee(seed, dealers, invitation.topology)
    plan = invitation.start.plan.with_challenge(seed, invitation.params.challenge_rows)
    view = view_digest(
        invitation.transcript,
        listed.keys,
        dealers,
        told.randomness,
        groups,
        told.digests,
        plan.digest(),
    )
    return View(
        listed,
        dealt,
        uploaded,
        groups,
        committee,
        plan,
        view,
        secrets.update.mask_key,
        OpeningGuard(Instance.STATISTICS, dealt.held),
        OpeningGuard(Instance.UPDATE, dealt.held),
    )


def group_floor(identity: Identity, invitation: Invitation) -> int:
    """Fewest members with which this client helps to open a group: its own floor counts too."""
    return max(identity.policy.min_group, invitation.params.smallest_group())


def send_statistics(
    identity: Identity,
    invitation: Invitation,
    secrets: RoundSecrets,
    view: View,
    quantised: NDArray[np.uint32],
) -> MaskedStatistics:
    """Steps 3.4–3.5: u_i = P·q_i, masked against the members of my group that uploaded.

    A member of a group that has shrunk below the floor abstains: it sends nothing to open, and
    goes on helping the others.
    """
    group = next(group for group in view.groups if identity.me in group)
    present = view.uploaded & frozenset(group)
    if len(present) < group_floor(identity, invitation):
        return MaskedStatistics(b"", b"")
    context = invitation.sum_context(Instance.STATISTICS, view.plan.rows)
    peers = present - {identity.me}
    verify_keys(identity, invitation, peers - view.dealt.held.keys(), view.keys)
    masked = mask_input(
        context,
        identity.me,
        secrets.statistics,
        {peer: view.keys.keys[peer].statistics_mask for peer in peers},
        view.plan.apply(quantised),
    )
    signature = identity.signing_key.sign(Tag.VIEW_SIGNATURE, invitation.transcript, view.digest)
    return MaskedStatistics(context.ring.to_bytes(masked), signature)
