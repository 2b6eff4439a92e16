"""Round 4 (Bonawitz 2017, figure 4, Unmasking): take the masks off the sum, and only off it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair
from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId
from auror.secagg.graph import Graph
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import add_pairwise_mask, add_self_mask

Correction = Callable[[UInt], None]
"""Takes one mask off the values."""
Corrections = Sequence[Correction]
Spread = Callable[[Callable[[Corrections], UInt], Iterable[Corrections]], Iterable[UInt]]
"""``map``, or one whose calls run side by side: how a program puts its cores to use."""

_SHARES = 2
_WORTH_SPREADING = 1 << 16
"""Entries: shorter masks cost more of Python, which has one thread at a time, than of AES."""


def unmask_sum(
    context: SumContext,
    graph: Graph,
    masked: UInt,
    self_seeds: Mapping[ClientId, Secret],
    absent_keys: Mapping[ClientId, Secret],
    mask_keys: Mapping[ClientId, bytes],
    spread: Spread = map,
) -> UInt:
    """The sum of the inputs of the clients in ``self_seeds``, modulo the ring.

    Args:
        masked: the sum of the masked inputs of exactly the clients in ``self_seeds``.
        self_seeds: restored b_i of everybody in the sum.
        absent_keys: restored s_j of everybody whom they masked against and who is not in it.
        mask_keys: the public mask keys of both.
        spread: runs the expansion of the masks.

    Raises:
        RoundAborted: a restored mask key does not belong to the advertised public key.
    """
    corrections: list[Correction] = [
        partial(add_self_mask, seed=seed, context=context, owner=client, sign=-1)
        for client, seed in self_seeds.items()
    ]
    summed = frozenset(self_seeds)
    for absent, secret in sorted(absent_keys.items()):
        pair = KeyPair(secret)
        if pair.public != mask_keys[absent]:
            raise RoundAborted(
                AbortReason.BAD_RECONSTRUCTION,
                f"mask key of client {absent} is not the advertised",
                absent,
            )
        # What a peer added against `absent` is the negative of absent's own mask.
        corrections += [
            partial(
                add_pairwise_mask,
                key_pair=pair,
                peer_public=mask_keys[peer],
                context=context,
                owner=absent,
                peer=peer,
                sign=+1,
            )
            for peer in graph.among(absent, summed)
        ]
    run = spread if context.length >= _WORTH_SPREADING else map
    total = masked.copy()
    for part in run(partial(_sum_of, context), [corrections[at::_SHARES] for at in range(_SHARES)]):
        total += part
    return context.ring.reduce(total)


def _sum_of(context: SumContext, corrections: Corrections) -> UInt:
    values = context.ring.zeros(context.length)
    for correct in corrections:
        correct(values)
    return values
