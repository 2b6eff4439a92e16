"""Phase 7, the client: open the images of its masks across groups, after a failed binding check.

docs/protocol.md steps 7.1–7.2.
"""

from __future__ import annotations

from auror.errors import Refusal, Refused
from auror.round.binding import mask_image
from auror.round.client.p6_unmask import Unmasked
from auror.round.client.state import Identity
from auror.round.messages import CrossMasks
from auror.secagg.masking import pairwise_mask


def open_cross_masks(identity: Identity, state: Unmasked) -> CrossMasks:
    """P·PRG(s_ij) modulo 2^m for every j of A outside my group.

    What it shows: with the masks between groups gone, those inside still hide everything but
    P·Σq of each accepted group, modulo 2^m, which phase 4 has opened already.

    Raises:
        Refused: I am not part of A; or the graph is sparse, so that members of a group need not
            share masks and the images would show single clients.
    """
    me, invitation, view, accepted = identity.me, state.invitation, state.view, state.accepted
    if me not in accepted:
        raise Refused(Refusal.OUT_OF_TURN, "not part of the accepted set")
    if not invitation.graph.is_complete:
        raise Refused(Refusal.MASKS_WOULD_SHOW)
    group = view.group_of(me)
    context = invitation.update_context()
    images = {}
    for peer in sorted(accepted - set(group)):
        peer_key = view.uploads.keys.keys[peer].update_mask
        mask = pairwise_mask(state.update_mask, peer_key, context, me, peer)
        images[peer] = context.ring.to_bytes(mask_image(view.plan, context.ring, mask))
    return CrossMasks(images)
