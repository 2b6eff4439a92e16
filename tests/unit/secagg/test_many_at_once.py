"""Work that a server does for many clients at once: sums in shares, secrets by common holders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from weights_kit import asked_for

from auror.crypto.kex import KeyPair
from auror.errors import PeerMisbehaved, RoundAborted
from auror.ids import ClientId, Digest
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.graph import Graph
from auror.secagg.instance import Instance, Ring, SecretKind, SumContext
from auror.secagg.server import unmask
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.sharing import Share, deal, receive
from auror.sim.seeded import seeded_entropy

T = Digest(bytes(32))
KINDS = (SecretKind.SELF_SEED, SecretKind.MASK_KEY)


@pytest.mark.parametrize("bits", [20, 64])
def test_masked_inputs_that_are_added_side_by_side_make_the_same_sum(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmask, "_WORTH_SPREADING", 1)
    rng, ring, length = np.random.default_rng(bits), Ring(bits), 50
    shape = SumContext(T, Instance.UPDATE, ring, length)
    values = {
        ClientId(c): ring.reduce(rng.integers(0, 2**63, length, dtype=np.uint64).astype(ring.dtype))
        for c in range(5)
    }
    uploads = {c: ring.to_bytes(vector) for c, vector in values.items()}
    some = tuple(values)[1:]
    expected = ring.zeros(length)
    for client in some:
        expected += values[client]
    ring.reduce(expected)
    with ThreadPoolExecutor(2) as pool:
        assert np.array_equal(unmask.sum_masked(shape, uploads, some, pool.map), expected)
        with pytest.raises(ValueError, match="bytes"):
            unmask.sum_masked(shape, {**uploads, some[0]: b"short"}, some, pool.map)
    assert np.array_equal(unmask.sum_masked(shape, uploads, some), expected)


def test_on_a_ring_the_weights_of_some_holders_restore_the_secrets_of_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cohort, threshold = tuple(ClientId(i) for i in range(40)), 5
    graph = Graph.harary(cohort, 10, bytes(32))
    envelopes = {c: KeyPair.draw(seeded_entropy(1, c)) for c in cohort}
    keys = {c: pair.public for c, pair in envelopes.items()}
    secrets = {c: MaskSecrets.draw(seeded_entropy(2, c)).to_share() for c in cohort}
    collector = ShareCollector(T, threshold, KINDS)
    absent = frozenset(cohort[::8])
    wanted = {c: KINDS[c in absent] for c in cohort}
    given: dict[ClientId, dict[SecretKind, dict[ClientId, Share]]] = {
        c: {kind: {} for kind in KINDS} for c in cohort
    }
    for dealer, kind in wanted.items():
        dealing, own = deal(
            T, dealer, secrets[dealer], graph.holders(dealer, frozenset(cohort)), threshold,
            envelopes[dealer], keys, seeded_entropy(3, dealer),
        )  # fmt: skip
        collector.expect(dealer, dealing.share_commitments, dealing.secret_commitments)
        given[dealer][kind][dealer] = own[kind]
        for holder in graph.neighbours[dealer]:
            opened = receive(
                T, dealer, holder, KINDS, dealing.ciphertexts[holder],
                dealing.share_commitments[holder], envelopes[holder], keys[dealer],
            )  # fmt: skip
            given[holder][kind][dealer] = opened[kind]
    for holder, by_kind in given.items():
        for kind, shares in by_kind.items():
            if holder not in absent:
                collector.add(holder, kind, shares)
    stranger = next(c for c in cohort[1:] if c not in graph.neighbours[cohort[0]])
    with pytest.raises(PeerMisbehaved, match="share of client 0"):
        collector.add(stranger, KINDS[1], {cohort[0]: given[cohort[0]][KINDS[1]][cohort[0]]})

    asked = asked_for(monkeypatch)
    restored = collector.restore(wanted, graph.ring)
    assert {c: secret.reveal() for c, secret in restored.items()} == {
        c: secrets[c][kind].reveal() for c, kind in wanted.items()
    }
    assert len(asked) <= len(cohort) // 2
    with pytest.raises(RoundAborted, match="0 of 5"):
        collector.restore({cohort[0]: KINDS[0]}, graph.ring)
