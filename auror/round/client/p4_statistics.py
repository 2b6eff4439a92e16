"""Phase 4, the client: check the public randomness, derive the groups itself, send statistics.

docs/protocol.md steps 4.1–4.6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from auror.crypto.entropy import SECRET_BYTES, Secret
from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.arithmetic import statistics_context
from auror.round.client.p1_share_keys import check_distinct, verify_keys
from auror.round.client.p3a_consistency import KnownUploads
from auror.round.client.p3b_draw import SharedRandomness
from auror.round.client.state import Identity, WiredInvitation
from auror.round.messages import MaskedStatistics, RandomnessList
from auror.round.plan import StatisticsPlan
from auror.round.public import Groups, draw_groups, in_order, view_digest
from auror.round.watch import opened_plan
from auror.secagg.client.masked_input import mask_pairwise
from auror.secagg.client.unmask import OpeningGuard
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import commitments_under


@dataclass(frozen=True)
class View:
    """What h covers, and h."""

    uploads: KnownUploads
    groups: Groups
    plan: StatisticsPlan
    digest: Digest
    """h"""

    def group_of(self, member: ClientId) -> tuple[ClientId, ...]:
        """The group that ``member`` of U3 is in."""
        return next(group for group in self.groups if member in group)


@dataclass(frozen=True)
class WithView:
    """The states that know h."""

    invitation: WiredInvitation
    view: View
    update_mask: KeyPair = field(repr=False)
    """Kept for phase 7, when the binding check failed."""


@dataclass(frozen=True)
class SentStatistics(WithView):
    """Its masked statistics are out."""

    guard: OpeningGuard


def form_view(identity: Identity, state: SharedRandomness, told: RandomnessList) -> View:
    """Steps 4.1–4.4: groups, challenge and whether label rows are opened follow from T, U3 and all
    r, each of them committed to before anybody could know another.

    Raises:
        Refused: an r is missing, or not the one its owner committed to in phase 0; or the groups
            are smaller than my floor.
    """
    invitation, uploads = state.invitation, state.uploads
    if told.randomness.keys() != uploads.dealers & invitation.committee:
        raise Refused(Refusal.RANDOMNESS_FORGED, "contributions are not the committee's in U2")
    committed = commitments_under(invitation.transcript)
    for client, value in told.randomness.items():
        if len(value) != SECRET_BYTES:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}: {len(value)} bytes")
        commitment = committed.of_secret(client, SecretKind.RANDOMNESS, Secret(value))
        if commitment != uploads.keys.commitments[client]:
            raise Refused(Refusal.RANDOMNESS_FORGED, f"client {client}")
    uploaded = in_order(uploads.uploaded)
    seed = identity.public_seed(invitation.transcript, uploaded, told.randomness)
    groups = draw_groups(seed, uploaded, invitation.params.group_size)
    smallest = min(map(len, groups))
    if smallest < invitation.floors.group:
        raise Refused(
            Refusal.GROUP_TOO_SMALL, f"group of {smallest}, floor {invitation.floors.group}"
        )
    start, params = invitation.start, invitation.params
    plan = opened_plan(start.plan, start.description.watch, params, seed)
    digest = view_digest(uploads.digest, told.randomness, groups, plan.digest())
    return View(uploads, groups, plan, digest)


def send_statistics(
    identity: Identity, state: SharedRandomness, view: View, told: RandomnessList
) -> tuple[SentStatistics, MaskedStatistics]:
    """Steps 4.5–4.6: u_i = P·q_i, masked against everybody else in my group, under h.

    No self mask and no recovery: the sum of the group appears when all its members have sent under
    this very h, and never otherwise.

    Raises:
        Refused: not the keys of my group, signed by their owners, that the root of U1 holds.
    """
    invitation, secrets = state.invitation, state.secrets
    guard = OpeningGuard(state.held)
    peers = set(view.group_of(identity.me)) - {identity.me}
    if told.keys.keys() != peers - view.uploads.keys.keys.keys():
        raise Refused(Refusal.KEYS_SUBSTITUTED, "not the keys of my group")
    keys = view.uploads.keys.with_more(told.keys, told.proof)
    check_distinct(keys.keys)
    verify_keys(identity, invitation, sorted(told.keys), told.keys)
    context = statistics_context(view.digest, view.plan.rows)
    masked = mask_pairwise(
        context,
        identity.me,
        secrets.statistics_mask,
        {peer: keys.keys[peer].statistics_mask for peer in peers},
        view.plan.apply(state.quantised),
    )
    signature = identity.signing_key.sign(Tag.VIEW_SIGNATURE, view.digest)
    sent = SentStatistics(invitation, view, secrets.update.mask_key, guard)
    return sent, MaskedStatistics(context.ring.to_bytes(masked), signature)
