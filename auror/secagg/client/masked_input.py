"""Round 2 (Bonawitz 2017, figure 4, MaskedInputCollection): y_i = x_i + self ± pairwise masks."""

from __future__ import annotations

from collections.abc import Mapping

from auror.crypto.kex import KeyPair
from auror.ids import ClientId
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import add_mask, mask_sign, pairwise_mask_key, self_mask_key


def mask_input(
    context: SumContext,
    me: ClientId,
    secrets: MaskSecrets,
    peer_keys: Mapping[ClientId, bytes],
    values: UInt,
) -> UInt:
    """Mask ``values`` ((context.length,), entries in the ring) with a self mask and against every
    peer: the others can take the masks of whoever is lost off the sum.

    ``peer_keys`` holds the mask keys of the neighbours that dealt shares (U2), without ``me``.
    """
    masked = mask_pairwise(context, me, secrets.mask_key, peer_keys, values)
    add_mask(masked, self_mask_key(secrets.self_seed, context, me), context, +1)
    return context.ring.reduce(masked)


def mask_pairwise(
    context: SumContext,
    me: ClientId,
    mask_key: KeyPair,
    peer_keys: Mapping[ClientId, bytes],
    values: UInt,
) -> UInt:
    """Mask ``values`` against every peer and with nothing else: the masks cancel when ``me`` and
    all peers have sent, and nobody can take them off before (docs/adr/0014)."""
    masked: UInt = values.astype(context.ring.dtype, copy=True)
    for peer in sorted(peer_keys):
        key = pairwise_mask_key(mask_key, peer_keys[peer], context, me, peer)
        add_mask(masked, key, context, mask_sign(me, peer))
    return context.ring.reduce(masked)
