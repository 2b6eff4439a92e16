"""Round 4 (Bonawitz 2017, figure 4, Unmasking): take the masks off the sum, and only off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair
from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId
from auror.secagg.graph import Graph
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import add_pairwise_mask, add_self_mask


def unmask_sum(
    context: SumContext,
    graph: Graph,
    inputs: Iterable[UInt],
    self_seeds: Mapping[ClientId, Secret],
    absent_keys: Mapping[ClientId, Secret],
    mask_keys: Mapping[ClientId, bytes],
) -> UInt:
    """The sum of the inputs of the clients in ``self_seeds``, modulo the ring.

    Args:
        inputs: the masked inputs of exactly the clients in ``self_seeds``.
        self_seeds: restored b_i of everybody in the sum.
        absent_keys: restored s_j of everybody whom they masked against and who is not in it.
        mask_keys: the public mask keys of both.

    Raises:
        RoundAborted: a restored mask key does not belong to the advertised public key.
    """
    total = context.ring.zeros(context.length)
    for masked in inputs:
        total += masked
    summed = frozenset(self_seeds)
    for client, seed in sorted(self_seeds.items()):
        add_self_mask(total, seed, context, client, -1)
    for absent, secret in sorted(absent_keys.items()):
        pair = KeyPair(secret)
        if pair.public != mask_keys[absent]:
            raise RoundAborted(
                AbortReason.BAD_RECONSTRUCTION,
                f"mask key of client {absent} is not the advertised",
                absent,
            )
        for peer in graph.among(absent, summed):
            # What `peer` added against `absent` is the negative of absent's own mask.
            add_pairwise_mask(total, pair, mask_keys[peer], context, absent, peer, +1)
    return context.ring.reduce(total)
