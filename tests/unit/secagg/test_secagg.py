"""One masked sum: masks, quantisation, sharing, the opening guard."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair
from auror.crypto.tags import encode, number
from auror.errors import AbortReason, AuthenticationFailed, PeerMisbehaved, Refused, RoundAborted
from auror.ids import ClientId, Digest
from auror.round.client.state import RoundSecrets
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.masked_input import mask_input, mask_pairwise
from auror.secagg.client.unmask import OpenedShares, OpeningGuard
from auror.secagg.graph import Graph, share_point
from auror.secagg.instance import Instance, Ring, SecretKind, SumContext, UInt
from auror.secagg.masking import add_mask, pairwise_mask, self_mask_key
from auror.secagg.quantise import Quantiser, ring_bits
from auror.secagg.run import run_masked_sum
from auror.secagg.server import unmask
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.sharing import Share, deal, receive
from auror.sim.seeded import seeded_entropy

T = Digest(bytes(32))
KINDS = (SecretKind.SELF_SEED, SecretKind.MASK_KEY)


def context(bits: int = 20, length: int = 50, instance: Instance = Instance.UPDATE) -> SumContext:
    return SumContext(T, instance, Ring(bits), length)


@pytest.mark.parametrize("bits", [1, 17, 31, 32, 64])
@pytest.mark.parametrize("before", [(), (1,), (0, 4)])
@pytest.mark.parametrize("after", [(), (2,)])
def test_sum_of_those_who_uploaded(
    bits: int, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(bits)
    ring = Ring(bits)
    inputs = {
        ClientId(i): ring.reduce(rng.integers(0, 2**63, 30, dtype=np.uint64).astype(ring.dtype))
        for i in range(6)
    }
    total = run_masked_sum(
        inputs,
        ring,
        3,
        seeded_entropy(1, bits),
        frozenset(ClientId(i) for i in before),
        frozenset(ClientId(i) for i in after),
    )
    expected = sum(1 * inputs[c].astype(object) for c in inputs if c not in before) % 2**bits
    assert [int(x) for x in total] == [int(x) for x in expected]


def test_masks_that_are_expanded_side_by_side_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cohort = tuple(ClientId(i) for i in range(5))
    secrets = {c: MaskSecrets.draw(seeded_entropy(8, c)) for c in cohort}
    keys = {c: own.mask_key.public for c, own in secrets.items()}
    shape, here = context(), cohort[:4]
    masked = shape.ring.zeros(shape.length)
    for c in here:
        peers = {peer: keys[peer] for peer in cohort if peer != c}
        masked += mask_input(shape, c, secrets[c], peers, shape.ring.zeros(shape.length))
    args = (
        shape, Graph.complete(cohort), masked, {c: secrets[c].self_seed for c in here},
        {cohort[4]: secrets[cohort[4]].mask_key.secret}, keys,
    )  # fmt: skip
    monkeypatch.setattr(unmask, "_WORTH_SPREADING", 1)
    calls = []
    with ThreadPoolExecutor(2) as pool:

        def spread(expand, parts):  # type: ignore[no-untyped-def]
            calls.append(parts := list(parts))
            return pool.map(expand, parts)

        assert not unmask.unmask_sum(*args, spread).any()
    agreed, expanded = calls
    assert sorted(len(part) for part in agreed) == [0, 1]
    assert sorted(len(part) for part in expanded) == [4, 4]
    assert not unmask.unmask_sum(*args).any()


def test_too_few_left_open_nothing() -> None:
    inputs = {ClientId(i): np.zeros(4, dtype=np.uint32) for i in range(4)}
    with pytest.raises(RoundAborted) as error:
        run_masked_sum(inputs, Ring(20), 4, seeded_entropy(1), frozenset({ClientId(0)}))
    assert error.value.reason is AbortReason.TOO_FEW_SHARES


def test_pairwise_masks_cancel_and_self_masks_stay() -> None:
    secrets = {ClientId(i): MaskSecrets.draw(seeded_entropy(i)) for i in range(4)}
    zeros = np.zeros(50, dtype=np.uint32)
    total = np.zeros(50, dtype=np.uint32)
    for me, mine in secrets.items():
        peers = {c: s.mask_key.public for c, s in secrets.items() if c != me}
        masked = mask_input(context(), me, mine, peers, zeros)
        assert np.count_nonzero(masked) > 40
        assert masked.max() < 2**20
        total += masked
    for me, mine in secrets.items():
        add_mask(total, self_mask_key(mine.self_seed, context(), me), context(), -1)
    assert not context().ring.reduce(total).any()
    assert not zeros.any()  # the input itself is not touched


def test_masks_are_bound_to_their_sum_and_owners() -> None:
    seed, pair, other = Secret(bytes(32)), KeyPair.draw(seeded_entropy(1)), ClientId(7)
    peer = KeyPair.draw(seeded_entropy(2)).public
    another = replace(context(), binding=Digest(bytes([1]) * 32))
    masks = []
    for changed, owner in ((context(), 0), (context(), 1), (another, 0)):
        values = np.zeros(50, dtype=np.uint32)
        add_mask(values, self_mask_key(seed, changed, ClientId(owner)), changed, +1)
        masks.append(values.tobytes())
    statistics = replace(context(), instance=Instance.STATISTICS)
    for changed, owner in ((context(), 0), (context(), 1), (another, 0), (statistics, 0)):
        values = pairwise_mask(pair, peer, changed, ClientId(owner), other)
        masks.append(values.tobytes())
    assert len(set(masks)) == 7


def test_masks_of_one_group_cancel_when_all_sent_under_one_view_and_never_before() -> None:
    """Statistics: pairwise masks and nothing else, bound to h (docs/adr/0013)."""
    group = tuple(ClientId(i) for i in (2, 5, 9))
    keys = {c: KeyPair.draw(seeded_entropy(8, c)) for c in group}
    public = {c: pair.public for c, pair in keys.items()}
    view = context(64, 20, Instance.STATISTICS)
    values = {c: np.arange(20, dtype=np.uint64) * (c + 1) - 7 for c in group}

    def sent(client: ClientId, under: SumContext, group: tuple[ClientId, ...]) -> UInt:
        peers = {peer: public[peer] for peer in group if peer != client}
        return mask_pairwise(under, client, keys[client], peers, values[client])

    def close(total: UInt, members: tuple[ClientId, ...]) -> bool:
        return bool((total == sum(values[c] for c in members)).any())

    whole = [sent(c, view, group) for c in group]
    assert np.array_equal(sum(whole), sum(values.values()))
    for k, lost in enumerate(group):  # without one member, nothing of the others appears
        assert not close(sum(whole) - whole[k], tuple(c for c in group if c != lost))
        assert not close(whole[k], (lost,))
    # a member that was told another h, or another group, spoils the sum for everybody
    elsewhere = replace(view, binding=Digest(bytes([1]) * 32))
    assert not close(sum(whole[1:]) + sent(group[0], elsewhere, group), group)
    assert not close(sum(whole[1:]) + sent(group[0], view, group[:2]), group)
    # alone in its group it would be bare: the caller's floors forbid it
    assert np.array_equal(sent(group[0], view, group[:1]), values[group[0]])


# Quantisation -----------------------------------------------------------------------------------


def test_stochastic_rounding_is_unbiased_and_in_range() -> None:
    quantiser = Quantiser(4, 1.0)
    x = np.linspace(-1, 1, 41, dtype=np.float32)
    draws = np.array(
        [
            quantiser.quantise(x, Secret(i.to_bytes(32, "little"))).astype(np.int64)
            for i in range(4000)
        ]
    )
    assert draws.min() == 0
    assert draws.max() == quantiser.levels == 15
    error = draws.mean(axis=0) * quantiser.step - 1.0 - x
    assert np.abs(error).max() < 5 * quantiser.step / 2 / np.sqrt(4000)
    assert np.ptp(draws, axis=0).max() == 1


def test_values_outside_the_range_are_clipped() -> None:
    quantiser = Quantiser(8, 0.5)
    q = quantiser.quantise(np.array([-9, 9], dtype=np.float32), Secret(bytes(32)))
    assert q.tolist() == [0, 255]
    assert quantiser.clipped_share(np.array([-9, 0.1], dtype=np.float32)) == 0.5
    assert quantiser.mean(np.array([0, 510]), 2).tolist() == pytest.approx([-0.5, 0.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(Refused, match="1 of 2 entries"):
        Quantiser(8, 1.0).quantise(np.array([0, bad], dtype=np.float32), Secret(bytes(32)))


@pytest.mark.parametrize(("n", "b"), [(2, 2), (3, 16), (30, 16), (255, 24), (4, 8)])
def test_ring_is_the_smallest_in_which_honest_sums_do_not_wrap(n: int, b: int) -> None:
    largest = n * (2**b - 1)
    assert 2 ** (ring_bits(n, b) - 1) <= largest < 2 ** ring_bits(n, b)


def test_ring_elements_are_checked() -> None:
    ring = Ring(20)
    assert ring.from_bytes(ring.to_bytes(np.array([2**20 - 1], dtype=np.uint32)), 1) == 2**20 - 1
    for payload, length in ((b"\0" * 7, 2), (b"\xff" * 3, 1)):
        with pytest.raises(ValueError, match=r"expected|after the last element"):
            ring.from_bytes(payload, length)
    for bits in (0, 33, 65):
        with pytest.raises(ValueError, match="1 … 32 or 64"):
            Ring(bits)


# Sharing ----------------------------------------------------------------------------------------


def dealt(threshold: int = 2):  # type: ignore[no-untyped-def]
    clients = tuple(ClientId(i) for i in range(3))
    envelope = {c: KeyPair.draw(seeded_entropy(5, c)) for c in clients}
    secrets = MaskSecrets.draw(seeded_entropy(6))
    dealing, own = deal(
        T,
        clients[0],
        secrets.to_share(),
        clients,
        threshold,
        envelope[clients[0]],
        {c: pair.public for c, pair in envelope.items()},
        seeded_entropy(7),
    )
    return clients, envelope, secrets, dealing, own


def test_envelopes_open_for_their_holder_in_this_round_only() -> None:
    clients, envelope, _secrets, dealing, _own = dealt()
    rows = dealing.share_commitments
    one, two = clients[1], clients[2]
    text = dealing.ciphertexts[one]
    receive(T, clients[0], one, KINDS, text, rows[one], envelope[one], envelope[clients[0]].public)
    other = Digest(bytes([1]) * 32)
    public = envelope[clients[0]].public
    for bad in (
        (other, clients[0], one, KINDS, text, rows[one], envelope[one], public),
        (T, clients[0], two, KINDS, text, rows[two], envelope[two], public),
        (T, clients[0], one, KINDS, text, rows[two], envelope[one], public),
        (T, clients[0], one, KINDS[:1], text, rows[one][:1], envelope[one], public),
        (T, clients[0], one, KINDS, text, rows[one][:1], envelope[one], public),
        (T, clients[0], one, KINDS, text[:-1], rows[one], envelope[one], public),
        (T, clients[0], one, KINDS, text, rows[one], envelope[one], bytes(32)),
    ):
        with pytest.raises(AuthenticationFailed):
            receive(*bad)


def test_every_part_of_a_dealing_is_signed() -> None:
    clients, *_rest, dealing, _own = dealt()
    parts = dealing.signed_parts()
    rows = [
        (number(holder), *dealing.share_commitments[holder],
         hashlib.sha256(dealing.ciphertexts.get(holder, b"")).digest())
        for holder in sorted(dealing.share_commitments)
    ]  # fmt: skip
    listed = [part for row in (dealing.secret_commitments, *rows) for part in row]
    assert encode(*parts) == encode(*listed)
    with pytest.raises(ValueError, match="32 bytes"):
        replace(dealing, secret_commitments=(Digest(bytes(31)), Digest(bytes(33)), Digest(T)))
    # envelopes too: who sealed nonsense cannot say that the server changed it
    assert dealing.ciphertexts.keys() == set(clients[1:])
    for holder, text in dealing.ciphertexts.items():
        changed = {**dealing.ciphertexts, holder: bytes([text[0] ^ 1]) + text[1:]}
        assert replace(dealing, ciphertexts=changed).signed_parts() != parts


def test_three_secrets_are_shared_and_the_key_of_the_statistics_masks_is_not() -> None:
    assert [kind.name for kind in SecretKind] == ["SELF_SEED", "MASK_KEY", "RANDOMNESS"]
    secrets = RoundSecrets.draw(seeded_entropy(9))
    shared = secrets.to_share()
    assert shared.keys() == set(SecretKind)
    values = {kind: secret.reveal() for kind, secret in shared.items()}
    assert values[SecretKind.SELF_SEED] == secrets.update.self_seed.reveal()
    assert values[SecretKind.MASK_KEY] == secrets.update.mask_key.secret.reveal()
    assert values[SecretKind.RANDOMNESS] == secrets.randomness.reveal()
    kept = {secrets.statistics_mask.secret.reveal(), secrets.encryption.secret.reveal()}
    assert len({*values.values(), *kept}) == 5


def test_collector_takes_only_committed_shares_and_restores_the_secret() -> None:
    clients, envelope, secrets, dealing, own = dealt()
    collector = ShareCollector(T, 2, KINDS)
    collector.expect(clients[0], dealing.share_commitments, dealing.secret_commitments)
    kind = SecretKind.SELF_SEED
    wrong = Share(bytes(33), own[kind].salt)
    with pytest.raises(PeerMisbehaved, match="client 0's SELF_SEED"):
        collector.add(clients[0], kind, {clients[0]: wrong})
    with pytest.raises(PeerMisbehaved):  # the right share of another kind
        collector.add(clients[0], kind, {clients[0]: own[SecretKind.MASK_KEY]})
    with pytest.raises(PeerMisbehaved):  # nobody dealt this
        collector.add(clients[0], kind, {clients[1]: own[kind]})
    collector.add(clients[0], kind, {clients[0]: own[kind]})
    assert not collector.enough(clients[0], kind)
    with pytest.raises(RoundAborted, match="1 of 2"):
        collector.restore({clients[0]: kind})
    mine = receive(
        T,
        clients[0],
        clients[1],
        KINDS,
        dealing.ciphertexts[clients[1]],
        dealing.share_commitments[clients[1]],
        envelope[clients[1]],
        envelope[clients[0]].public,
    )
    collector.add(clients[1], kind, {clients[0]: mine[kind]})
    restored = collector.restore({clients[0]: kind})
    assert restored[clients[0]].reveal() == secrets.self_seed.reveal()
    assert "redacted" in repr(mine[kind])
    assert mine[kind].value.hex() not in repr(mine)


def test_guard_answers_for_one_pair_of_sets_and_never_both_kinds() -> None:
    share = Share(bytes(33), bytes(16))
    held = {ClientId(i): dict.fromkeys(SecretKind, share) for i in range(4)}
    a, b, c = (frozenset({ClientId(i)}) for i in range(3))
    guard = OpeningGuard(held)
    with pytest.raises(Refused, match="both summed and absent"):
        guard.open(a | b, b)
    first = guard.open(a | frozenset({ClientId(9)}), b)
    assert first == guard.open(a | frozenset({ClientId(9)}), b)
    assert set(first.self_seeds) == {0}
    assert set(first.mask_keys) == {1}
    for seeds, keys in ((b, a), (a | b, frozenset()), (a, b | c), (a, b)):
        with pytest.raises(Refused, match="opened before"):
            guard.open(seeds, keys)
    with pytest.raises(Refused, match="both secrets"):
        OpenedShares({ClientId(0): share}, {ClientId(0): share})


def test_complete_graph() -> None:
    graph = Graph.complete(tuple(ClientId(i) for i in (5, 1, 3)))
    assert graph.neighbours[ClientId(3)] == (1, 5)
    assert graph.among(ClientId(1), frozenset({ClientId(5), ClientId(1)})) == (5,)
    assert graph.holders(ClientId(1), frozenset({ClientId(5)})) == (1, 5)
    assert share_point(ClientId(0)) == 1  # never where the secret lies


@pytest.mark.parametrize(("value", "salt"), [(32, 16), (34, 16), (33, 15), (33, 17), (32, 17)])
def test_a_share_of_another_size_is_none(value: int, salt: int) -> None:
    with pytest.raises(ValueError, match="a share has 49 bytes"):
        Share(bytes(value), bytes(salt))
    if value + salt != 49:
        with pytest.raises(ValueError, match="a share has 49 bytes"):
            Share.from_bytes(bytes(value + salt))
