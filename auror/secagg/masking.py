"""Masks: a seed expanded over the ring and added or subtracted."""

from __future__ import annotations

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair, expand
from auror.crypto.prg import words
from auror.crypto.tags import Tag, number
from auror.ids import ClientId
from auror.secagg.instance import SumContext, UInt


def self_mask_key(seed: Secret, context: SumContext, owner: ClientId) -> Secret:
    """What PRG(b_owner) is expanded from in this sum."""
    return expand(seed.reveal(), Tag.UPDATE_SELF_MASK, context.binding, number(owner))


def pairwise_mask_key(
    key_pair: KeyPair, peer_public: bytes, context: SumContext, owner: ClientId, peer: ClientId
) -> Secret:
    """What PRG(s_owner,peer) is expanded from in this sum: the same from both ends."""
    return key_pair.shared_key(
        peer_public,
        context.instance.pairwise_mask_tag,
        context.binding,
        number(min(owner, peer)),
        number(max(owner, peer)),
    )


def add_mask(values: UInt, key: Secret, context: SumContext, sign: int) -> None:
    """values += sign · the stream of ``key``, modulo the word size; reduce when done."""
    for positions, block in words(key, context.length, context.ring.dtype):
        if sign > 0:
            values[positions] += block
        else:
            values[positions] -= block


def pairwise_mask(
    key_pair: KeyPair, peer_public: bytes, context: SumContext, owner: ClientId, peer: ClientId
) -> UInt:
    """PRG(s_owner,peer) itself, (context.length,), without sign: the same from both ends."""
    mask = context.ring.zeros(context.length)
    add_mask(mask, pairwise_mask_key(key_pair, peer_public, context, owner, peer), context, +1)
    return context.ring.reduce(mask)


def mask_sign(owner: ClientId, peer: ClientId) -> int:
    """δ: the sign with which ``owner`` adds the mask it shares with ``peer``; the peer adds the
    same stream with the opposite one, so they cancel."""
    return 1 if owner < peer else -1
