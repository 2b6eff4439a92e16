"""Masks: a seed expanded over the ring and added or subtracted."""

from __future__ import annotations

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair, expand
from auror.crypto.prg import words
from auror.crypto.tags import Tag, number
from auror.ids import ClientId
from auror.secagg.instance import SumContext, UInt


def add_self_mask(
    values: UInt, seed: Secret, context: SumContext, owner: ClientId, sign: int
) -> None:
    """values += sign · PRG(b_owner), modulo the word size; reduce when done."""
    key = expand(seed.reveal(), Tag.UPDATE_SELF_MASK, context.binding, number(owner))
    _accumulate(values, key, context, sign)


def add_pairwise_mask(
    values: UInt,
    key_pair: KeyPair,
    peer_public: bytes,
    context: SumContext,
    owner: ClientId,
    peer: ClientId,
    sign: int,
) -> None:
    """values += sign · δ · PRG(s_owner,peer); δ = +1 for the smaller id, −1 for the larger.

    The two owners derive the same stream and add it with opposite signs, so it cancels.
    """
    low, high = min(owner, peer), max(owner, peer)
    key = key_pair.shared_key(
        peer_public,
        context.instance.pairwise_mask_tag,
        context.binding,
        number(low),
        number(high),
    )
    _accumulate(values, key, context, sign if owner == low else -sign)


def pairwise_mask(
    key_pair: KeyPair, peer_public: bytes, context: SumContext, owner: ClientId, peer: ClientId
) -> UInt:
    """PRG(s_owner,peer) itself, (context.length,), without sign: the same from both ends."""
    mask = context.ring.zeros(context.length)
    add_pairwise_mask(mask, key_pair, peer_public, context, owner, peer, mask_sign(owner, peer))
    return context.ring.reduce(mask)


def mask_sign(owner: ClientId, peer: ClientId) -> int:
    """δ: the sign with which ``owner`` adds the mask it shares with ``peer``."""
    return 1 if owner < peer else -1


def _accumulate(values: UInt, key: Secret, context: SumContext, sign: int) -> None:
    for positions, block in words(key, context.length, context.ring.dtype):
        if sign > 0:
            values[positions] += block
        else:
            values[positions] -= block
