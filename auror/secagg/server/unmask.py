"""Round 4 (Bonawitz 2017, figure 4, Unmasking): add the masked inputs up, and take the masks off
the sum, and only off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair
from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId
from auror.secagg.graph import Graph
from auror.secagg.instance import SumContext, UInt
from auror.secagg.masking import add_mask, mask_sign, pairwise_mask_key, self_mask_key
from auror.secagg.server.spread import Spread, in_shares

Masks = Sequence[tuple[Secret, int]]
"""What a mask is expanded from, and the sign with which it is added."""
Absent = tuple[ClientId, KeyPair]
"""Whom others masked against, and whose mask key was restored."""

_WORTH_SPREADING = 1 << 16
"""Entries: arrays of fewer cost more of Python, which has one thread at a time, than of numpy or
AES."""


def sum_masked(
    context: SumContext,
    uploads: Mapping[ClientId, bytes],
    clients: Sequence[ClientId],
    spread: Spread = map,
) -> UInt:
    """The sum of the packed ``uploads`` of ``clients``, (length,), modulo the ring.

    Raises:
        ValueError: one is no packed vector of the ring.
    """

    def of(some: Sequence[ClientId]) -> UInt:
        return context.ring.sum_packed((uploads[client] for client in some), context.length)

    return _added(context, _run(context, spread)(of, in_shares(clients)))


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
        spread: agrees on the keys of the masks, and expands them.

    Raises:
        RoundAborted: a restored mask key does not belong to the advertised public key.
    """
    masks = [(self_mask_key(seed, context, c), -1) for c, seed in self_seeds.items()]
    absentees = [(absent, KeyPair(secret)) for absent, secret in sorted(absent_keys.items())]
    for absent, pair in absentees:
        if pair.public != mask_keys[absent]:
            raise RoundAborted(
                AbortReason.BAD_RECONSTRUCTION,
                f"mask key of client {absent} is not the advertised",
                absent,
            )
    against = partial(_masks_against, context, graph, frozenset(self_seeds), mask_keys)
    # All keys are agreed before any is expanded: a thread that agrees needs Python's lock ten times
    # as often as one that expands, and makes it wait.
    for some in spread(against, in_shares(absentees)):
        masks += some
    parts = _run(context, spread)(partial(_sum_of, context), in_shares(masks))
    return _added(context, (masked, *parts))


def _masks_against(
    context: SumContext,
    graph: Graph,
    summed: frozenset[ClientId],
    mask_keys: Mapping[ClientId, bytes],
    absentees: Iterable[Absent],
) -> Masks:
    # What a peer added against an absent one is the negative of the absent one's own mask.
    return [
        (pairwise_mask_key(pair, mask_keys[peer], context, absent, peer), mask_sign(absent, peer))
        for absent, pair in absentees
        for peer in graph.among(absent, summed)
    ]


def _run(context: SumContext, spread: Spread) -> Spread:
    return spread if context.length >= _WORTH_SPREADING else map


def _added(context: SumContext, parts: Iterable[UInt]) -> UInt:
    total = context.ring.zeros(context.length)
    for part in parts:
        total += part
    return context.ring.reduce(total)


def _sum_of(context: SumContext, masks: Masks) -> UInt:
    values = context.ring.zeros(context.length)
    for key, sign in masks:
        add_mask(values, key, context, sign)
    return values
