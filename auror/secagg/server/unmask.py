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
from auror.secagg.masking import add_mask, mask_sign, pairwise_mask_key, self_mask_key

Masks = Sequence[tuple[Secret, int]]
"""What a mask is expanded from, and the sign with which it is added."""
Spread = Callable[[Callable[[Masks], UInt], Iterable[Masks]], Iterable[UInt]]
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
    masks = [(self_mask_key(seed, context, c), -1) for c, seed in self_seeds.items()]
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
        masks += [
            (
                pairwise_mask_key(pair, mask_keys[peer], context, absent, peer),
                mask_sign(absent, peer),
            )
            for peer in graph.among(absent, summed)
        ]
    # All keys are agreed before any is expanded: agreeing holds Python's lock, and threads that
    # take turns at it wait longer than they work.
    run = spread if context.length >= _WORTH_SPREADING else map
    total = masked.copy()
    for part in run(partial(_sum_of, context), [masks[at::_SHARES] for at in range(_SHARES)]):
        total += part
    return context.ring.reduce(total)


def _sum_of(context: SumContext, masks: Masks) -> UInt:
    values = context.ring.zeros(context.length)
    for key, sign in masks:
        add_mask(values, key, context, sign)
    return values
