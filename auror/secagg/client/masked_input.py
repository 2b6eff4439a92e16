"""Round 2 (Bonawitz 2017, figure 4, MaskedInputCollection): y_i = x_i + self ± pairwise masks."""

from __future__ import annotations

from collections.abc import Mapping

from auror.ids import ClientId
from auror.secagg.client.advertise import InstanceSecrets
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import add_pairwise_mask, add_self_mask


def mask_input(
    context: SumContext,
    me: ClientId,
    secrets: InstanceSecrets,
    peer_keys: Mapping[ClientId, bytes],
    values: UInt,
) -> UInt:
    """Mask ``values`` ((context.length,), entries in the ring) against every peer.

    ``peer_keys`` holds the mask keys of the neighbours that dealt shares (U2), without ``me``.
    """
    masked: UInt = values.astype(context.ring.dtype, copy=True)
    add_self_mask(masked, secrets.self_seed, context, me, +1)
    for peer in sorted(peer_keys):
        add_pairwise_mask(masked, secrets.mask_key, peer_keys[peer], context, me, peer, +1)
    return context.ring.reduce(masked)
