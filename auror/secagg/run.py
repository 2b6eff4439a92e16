"""One masked sum from start to end, with no network: read this first.

Bonawitz et al. 2017 ("Practical Secure Aggregation for Privacy-Preserving Machine Learning"),
figure 4, without signatures: ``auror.round`` adds those, a second sum and the defence.
"""

from __future__ import annotations

from collections.abc import Mapping

from auror.crypto.entropy import Entropy
from auror.crypto.kex import KeyPair
from auror.ids import ClientId, Digest
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.masked_input import mask_input
from auror.secagg.client.unmask import OpeningGuard
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, Ring, SecretKind, SumContext, UInt
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.server.unmask import unmask_sum
from auror.secagg.sharing import deal, receive


def run_masked_sum(
    inputs: Mapping[ClientId, UInt],
    ring: Ring,
    threshold: int,
    entropy: Entropy,
    lost_before_upload: frozenset[ClientId] = frozenset(),
    lost_after_upload: frozenset[ClientId] = frozenset(),
) -> UInt:
    """The sum of the inputs of all who uploaded, modulo the ring; the server sees no more.

    ``lost_after_upload`` clients are in the sum although they cannot help to unmask it.
    """
    cohort = tuple(sorted(inputs))
    graph, everybody = Graph.complete(cohort), frozenset(cohort)
    transcript = Digest(entropy(32))
    length = len(inputs[cohort[0]])
    context = SumContext(transcript, Instance.UPDATE, ring, length)
    kinds = (SecretKind.SELF_SEED, SecretKind.MASK_KEY)

    # Round 0, AdvertiseKeys: every client draws its keys; the server passes the public ones on.
    envelope = {i: KeyPair.draw(entropy) for i in cohort}
    secrets = {i: MaskSecrets.draw(entropy) for i in cohort}
    envelope_keys = {i: envelope[i].public for i in cohort}
    mask_keys = {i: secrets[i].mask_key.public for i in cohort}

    # Round 1, ShareKeys: every client deals shares of its two secrets to all the others.
    collector = ShareCollector(transcript, threshold, kinds)
    dealings, held = {}, {i: {} for i in cohort}  # type: ignore[var-annotated]
    for i in cohort:
        holders = graph.holders(i, everybody)
        dealings[i], held[i][i] = deal(
            transcript, i, secrets[i].to_share(), holders, threshold,
            envelope[i], envelope_keys, entropy,
        )  # fmt: skip
        collector.expect(i, dealings[i].share_commitments, dealings[i].secret_commitments)
    for dealer in cohort:
        for holder, ciphertext in dealings[dealer].ciphertexts.items():
            held[holder][dealer] = receive(
                transcript, dealer, holder, kinds, ciphertext,
                dealings[dealer].share_commitments[holder],
                envelope[holder], envelope_keys[dealer],
            )  # fmt: skip

    # Round 2, MaskedInputCollection: some clients vanish before their upload arrives.
    uploaded = everybody - lost_before_upload
    masked = {
        i: mask_input(
            context, i, secrets[i],
            {j: mask_keys[j] for j in graph.among(i, everybody)}, inputs[i],
        )
        for i in uploaded
    }  # fmt: skip

    # Round 4, Unmasking: seeds of those in the sum, mask keys of those who are not.
    for i in uploaded - lost_after_upload:
        answer = OpeningGuard(held[i]).open(uploaded, everybody - uploaded)
        collector.add(i, SecretKind.SELF_SEED, answer.self_seeds)
        collector.add(i, SecretKind.MASK_KEY, answer.mask_keys)
    seeds = collector.restore(dict.fromkeys(uploaded, SecretKind.SELF_SEED))
    keys = collector.restore(dict.fromkeys(everybody - uploaded, SecretKind.MASK_KEY))
    total = ring.zeros(length)
    for values in masked.values():
        total += values
    return unmask_sum(context, graph, total, seeds, keys, mask_keys)
