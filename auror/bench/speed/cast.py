"""Everybody who takes part in a measured sum, and all that was sent before it is unmasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.bench.speed.rows import SumSize
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.kex import KeyPair
from auror.ids import ClientId, Digest
from auror.round.messages import SHARED_KINDS
from auror.round.public import upload_digest
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.masked_input import mask_input
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, Ring, SecretKind, SumContext, UInt
from auror.secagg.quantise import Quantiser, ring_bits
from auror.secagg.sharing import Dealing, Share, deal, receive

BITS = 16
"""Of an entry of an update."""

Held = Mapping[ClientId, Mapping[SecretKind, Share]]
"""By dealer."""


def some_update(dim: int) -> NDArray[np.float32]:
    """Of a client that is yet to quantise it, (dim,); what a step costs does not depend on it."""
    return np.random.default_rng(7).normal(0.0, 0.01, dim).astype(np.float32)


@dataclass(frozen=True)
class SumCast:
    """What everybody knows, and by client what it drew, dealt, was dealt and sent."""

    size: SumSize
    transcript: Digest
    graph: Graph
    context: SumContext
    quantiser: Quantiser
    envelopes: Mapping[ClientId, KeyPair]
    secrets: Mapping[ClientId, Mapping[SecretKind, Secret]]
    masks: Mapping[ClientId, MaskSecrets]
    dealings: Mapping[ClientId, Dealing]
    held: Mapping[ClientId, Held]
    payloads: Mapping[ClientId, bytes]
    digests: Mapping[ClientId, Digest]

    @property
    def cohort(self) -> tuple[ClientId, ...]:
        """Everybody, sorted."""
        return tuple(self.masks)

    @property
    def mask_keys(self) -> dict[ClientId, bytes]:
        """Public."""
        return {client: own.mask_key.public for client, own in self.masks.items()}

    def value_of(self, client: ClientId) -> UInt:
        """Its quantised update, (d,), drawn from its number."""
        rng = np.random.default_rng([7, client])
        return rng.integers(0, 1 << BITS, self.size.d, dtype=np.uint32)

    def plain_sum(self, clients: Iterable[ClientId]) -> UInt:
        """Of their quantised updates, modulo the ring."""
        total = self.context.ring.zeros(self.size.d)
        for client in clients:
            total += self.value_of(client)
        return self.context.ring.reduce(total)

    def dropped(self, share: float) -> tuple[ClientId, ...]:
        """So many of the cohort, sorted: evenly around the graph's ring, so that every secret keeps
        holders enough."""
        return evenly(self.graph.ring or self.cohort, share)


def evenly(order: tuple[ClientId, ...], share: float) -> tuple[ClientId, ...]:
    """So many of ``order``, at equal distances in it; sorted."""
    count = round(share * len(order))
    return tuple(sorted(order[at * len(order) // count] for at in range(count)))


def make_cast(size: SumSize) -> SumCast:
    """Phases 0 to 2 of Bonawitz 2017, figure 4; nobody has dropped out yet."""
    cohort = tuple(ClientId(client) for client in range(size.n))
    everybody, transcript = frozenset(cohort), Digest(system_entropy(32))
    sparse = size.graph == "sparse"
    graph = Graph.harary(cohort, size.degree, transcript) if sparse else Graph.complete(cohort)
    ring = Ring(ring_bits(size.n, BITS))
    context = SumContext(transcript, Instance.UPDATE, ring, size.d)
    envelopes = {i: KeyPair.draw(system_entropy) for i in cohort}
    keys = {i: pair.public for i, pair in envelopes.items()}
    masks = {i: MaskSecrets.draw(system_entropy) for i in cohort}
    secrets = {
        i: {**masks[i].to_share(), SecretKind.RANDOMNESS: Secret.draw(system_entropy)}
        for i in cohort
    }
    dealings: dict[ClientId, Dealing] = {}
    held: dict[ClientId, dict[ClientId, Mapping[SecretKind, Share]]] = {i: {} for i in cohort}
    for i in cohort:
        dealings[i], held[i][i] = deal(
            transcript, i, secrets[i], graph.holders(i, everybody), size.threshold,
            envelopes[i], keys, system_entropy,
        )  # fmt: skip
    for i in cohort:
        for dealer in graph.neighbours[i]:
            dealing = dealings[dealer]
            held[i][dealer] = receive(
                transcript, dealer, i, SHARED_KINDS, dealing.ciphertexts[i],
                dealing.share_commitments[i], envelopes[i], keys[dealer],
            )  # fmt: skip
    made = SumCast(
        size, transcript, graph, context, Quantiser(BITS, 0.05), envelopes, secrets, masks,
        dealings, held, {}, {},
    )  # fmt: skip
    payloads, public = {}, made.mask_keys
    for i in cohort:
        peers = {peer: public[peer] for peer in graph.neighbours[i]}
        sent = mask_input(context, i, masks[i], peers, made.value_of(i))
        payloads[i] = ring.to_bytes(sent)
    digests = {i: upload_digest(transcript, i, payload) for i, payload in payloads.items()}
    return replace(made, payloads=payloads, digests=digests)
