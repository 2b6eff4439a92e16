"""The rules that are never broken (SECURITY.md), one test per refusal, drop and abort.

The server's and the clients' machines are the real ones; the network between them lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rounds_kit import (
    DIM,
    PARAMS,
    Deployment,
    Played,
    invite,
    play,
    refused,
    rounding,
    small_plan,
)

from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal, Refused
from auror.ids import ClientId, Digest, GroupIndex
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Remember, Reply
from auror.round.description import model_digest
from auror.round.facts import (
    Attempted,
    DealersFixed,
    GroupsDrawn,
    RoundBegun,
    SetAccepted,
    SumsOpened,
    UnmaskingBegun,
    UploadKept,
    UploadsFixed,
    decode_memory,
    encode,
)
from auror.round.label_rows import LabelRows
from auror.round.messages import (
    AcceptedSet,
    AdvertisedKeys,
    Agreement,
    AgreementList,
    Consistency,
    ConsistencyList,
    DealerList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RandomnessList,
    RandomnessShares,
    Receipt,
    RoundStart,
    ShareDelivery,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.plan import CountSketch, OutputLayer
from auror.round.public import agreement_parts, receipt_parts
from auror.round.server.context import Decision, Dropped, Persist, Send
from auror.round.server.machine import RoundServer
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.instance import SecretKind
from auror.secagg.quantize import Quantiser
from auror.secagg.sharing import Dealing, Share

VICTIM = ClientId(0)
LIAR = ClientId(3)
COVERED: set[Refusal | DropReason | AbortReason] = set()


def provokes(*reasons: Refusal | DropReason | AbortReason) -> Callable[[Any], Any]:
    """Books which reasons a test provokes; the last test of this file wants all of them."""
    COVERED.update(reasons)
    return lambda test: test


def expected_total(played: Played, deployment: Deployment) -> np.ndarray[Any, Any]:
    params = deployment.params
    quantiser = Quantiser(params.quantisation_bits, params.quantisation_range)
    updates = deployment.updates()
    return np.sum(
        [
            quantiser.quantise(updates[c], rounding(c)).astype(np.int64)
            for c in played.summary.accepted
        ],
        axis=0,
    )


def exact(played: Played, deployment: Deployment) -> None:
    assert played.aborted is None
    assert played.total is not None
    assert np.array_equal(played.total.total, expected_total(played, deployment))


def first_keys(mapping: Any, count: int) -> dict[Any, Any]:
    return {client: mapping[client] for client in sorted(mapping)[:count]}


@pytest.fixture(scope="module")
def nine() -> Deployment:
    """Three groups of three, t = Q = 6; totals hold six or nine."""
    return Deployment(9)


# Phases 1–6: a server that lies to one client ---------------------------------------------------


def lie(kind: type, change: Callable[[Any], Any], victim: ClientId = VICTIM) -> Any:
    return lambda client, message: (
        change(message) if client == victim and isinstance(message, kind) else message
    )


def refuses(
    deployment: Deployment, refusal: Refusal, kind: type, change: Callable[[Any], Any], **rules: int
) -> Played:
    """The victim refuses and says nothing more; the others' total is exact."""
    machines = deployment.machines()
    machines[VICTIM] = deployment.machine(VICTIM, **rules)
    played = play(deployment, machines=machines, to_client=lie(kind, change))
    assert {c: g.refusal for c, g in played.gave_up.items()} == {VICTIM: refusal}
    assert played.dropped[VICTIM] is DropReason.REFUSED
    exact(played, deployment)
    return played


def substituted(listed: KeyList, client: ClientId, **changes: bytes) -> KeyList:
    return KeyList({**listed.keys, client: replace(listed.keys[client], **changes)})


@provokes(Refusal.KEYS_SUBSTITUTED, DropReason.REFUSED)
@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask", "randomness"])
def test_key_list_with_a_key_its_owner_did_not_sign(nine: Deployment, name: str) -> None:
    other = KeyPair.draw(nine.entropy("server")).public
    refuses(
        nine,
        Refusal.KEYS_SUBSTITUTED,
        KeyList,
        lambda listed: substituted(listed, LIAR, **{name: other}),
    )


@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask"])
def test_degenerate_key_signed_by_a_colluder(nine: Deployment, name: str) -> None:
    def change(listed: KeyList) -> KeyList:
        keys = replace(listed.keys[LIAR], **{name: bytes(32)})
        transcript = nine.start().description.transcript()
        signature = nine.keys[LIAR].sign(Tag.ADVERTISE, transcript, *keys.signed_parts())
        return substituted(listed, LIAR, **{name: bytes(32), "signature": signature})

    refuses(nine, Refusal.KEYS_SUBSTITUTED, KeyList, change)


@provokes(Refusal.KEY_REUSED)
def test_one_key_in_two_roles_or_of_two_peers(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, statistics_mask=m.keys[LIAR].update_mask),
    )
    refuses(
        nine,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, update_mask=m.keys[ClientId(4)].update_mask),
    )


@provokes(Refusal.OWN_KEYS_MISSING)
def test_own_keys_missing_or_changed(nine: Deployment) -> None:
    for change in (
        lambda m: KeyList({c: k for c, k in m.keys.items() if c != VICTIM}),
        lambda m: substituted(m, VICTIM, encryption=m.keys[LIAR].encryption),
    ):
        refuses(nine, Refusal.OWN_KEYS_MISSING, KeyList, change)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: KeyList(first_keys(m.keys, 4))),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[:4])),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[1:])),
        (DealerList, lambda m: DealerList(m.dealers[:4])),
        (DealerList, lambda m: DealerList(m.dealers[1:])),
        (UploadList, lambda m: UploadList(first_keys(m.digests, 4))),
    ],
)
def test_announced_set_below_the_floor(nine: Deployment, kind: type, change: Any) -> None:
    refuses(nine, Refusal.COHORT_TOO_SMALL, kind, change)


@provokes(Refusal.SET_NOT_SUBSET)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: KeyList({**m.keys, ClientId(9): m.keys[LIAR]})),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, ClientId(9)))),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, LIAR))),
        (DealerList, lambda m: DealerList((*m.dealers, ClientId(9)))),
        (DealerList, lambda m: DealerList((*m.dealers, LIAR))),
        (UploadList, lambda m: UploadList({**m.digests, ClientId(9): Digest(bytes(32))})),
        (AcceptedSet, lambda m: replace(m, accepted=(*m.accepted, ClientId(9)))),
        (AcceptedSet, lambda m: replace(m, accepted=(*m.accepted, LIAR))),
    ],
)
def test_announced_set_is_no_part_of_the_one_before(
    nine: Deployment, kind: type, change: Any
) -> None:
    refuses(nine, Refusal.SET_NOT_SUBSET, kind, change)


def garbled(delivery: ShareDelivery, *dealers: ClientId) -> ShareDelivery:
    spoilt = {
        c: replace(e, ciphertext=bytes([e.ciphertext[0] ^ 1]) + e.ciphertext[1:])
        for c, e in delivery.envelopes.items()
        if c in dealers
    }
    return replace(delivery, envelopes={**delivery.envelopes, **spoilt})


def test_unreadable_envelopes_are_receipted_and_nobody_withdraws(nine: Deployment) -> None:
    """A pair of which one end lies; the round goes on with both."""
    played = play(nine, to_client=lie(ShareDelivery, lambda m: garbled(m, LIAR)))
    assert not played.gave_up
    assert not played.dropped
    assert played.said(Receipt)[VICTIM][0].unreadable == (LIAR,)  # type: ignore[union-attr]
    assert [mark.clients for mark in played.summary.marks] == [(VICTIM, LIAR)]
    exact(played, nine)


def test_an_envelope_that_never_came_is_unreadable(nine: Deployment) -> None:
    def withhold(delivery: ShareDelivery) -> ShareDelivery:
        return replace(delivery, envelopes={c: e for c, e in delivery.envelopes.items() if c != 5})

    played = play(nine, to_client=lie(ShareDelivery, withhold))
    assert played.said(Receipt)[VICTIM][0].unreadable == (ClientId(5),)  # type: ignore[union-attr]
    exact(played, nine)


@provokes(DropReason.BAD_DEALING)
def test_a_dealer_whom_more_than_c_cannot_read_is_proven_and_costs_no_round(
    nine: Deployment,
) -> None:
    def unreadable(message: DealtShares) -> DealtShares:
        return resigned(nine, message, ciphertexts={h: bytes(163) for h in message.ciphertexts})

    played = play(nine, to_server=cheat(DealtShares, unreadable))
    assert played.dropped == {LIAR: DropReason.BAD_DEALING}
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]
    assert LIAR not in played.summary.dealt
    exact(played, nine)


@provokes(DropReason.UNREADABLE)
def test_a_dealer_whom_too_few_can_read_is_left_out_but_proven_nothing() -> None:
    """c = 2 of nine, t = Q = 6: two name the dealer, two others are gone."""
    nine = Deployment(9, 0, replace(PARAMS, colluders=2))
    gone = {ClientId(7), ClientId(8)}

    def server(client: ClientId, message: Any) -> Any:
        if isinstance(message, ShareDelivery) and client in {0, 1}:
            return garbled(message, LIAR)
        return message

    def lost(client: ClientId, message: Any) -> Any:
        return None if client in gone and isinstance(message, Receipt) else message

    played = play(nine, to_client=server, to_server=lost)
    assert played.dropped == {
        LIAR: DropReason.UNREADABLE,
        **dict.fromkeys(gone, DropReason.SILENT),
    }
    assert {mark.clients for mark in played.summary.marks} == {(0, LIAR), (1, LIAR)}
    exact(played, nine)


@provokes(DropReason.FALSE_RECEIPT)
def test_a_receipt_that_names_more_than_c_is_a_lie(nine: Deployment) -> None:
    def accuse(message: Receipt) -> Receipt:
        names = (ClientId(0), ClientId(1))
        transcript = nine.start().description.transcript()
        parts = receipt_parts(transcript, nine.everybody, names)
        return Receipt(names, nine.keys[LIAR].sign(Tag.RECEIPT, *parts))

    played = drops(nine, DropReason.FALSE_RECEIPT, Receipt, accuse)
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]


@pytest.mark.parametrize("kind", [RandomnessShares, UpdateShares])
def test_withholding_a_share_that_was_receipted(nine: Deployment, kind: type) -> None:
    def withhold(message: Any) -> Any:
        if isinstance(message, RandomnessShares):
            return RandomnessShares({c: s for c, s in message.shares.items() if c != VICTIM})
        seeds = {c: s for c, s in message.shares.self_seeds.items() if c != VICTIM}
        return UpdateShares(OpenedShares(seeds, message.shares.mask_keys))

    played = drops(nine, DropReason.FALSE_RECEIPT, kind, withhold)
    assert [mark.clients for mark in played.summary.marks] == [(LIAR,)]


@provokes(Refusal.BAD_UPDATE)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_leave(nine: Deployment, bad: float) -> None:
    updates = nine.updates()
    updates[VICTIM][3] = bad
    played = play(nine, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE
    assert VICTIM not in played.said(Upload)
    exact(played, nine)


def test_update_of_another_shape_never_leaves(nine: Deployment) -> None:
    updates = {**nine.updates(), VICTIM: np.zeros(DIM + 1, dtype=np.float32)}
    played = play(nine, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE


@provokes(Refusal.RANDOMNESS_FORGED)
@pytest.mark.parametrize(
    "change",
    [
        lambda r: {**r, LIAR: bytes(32)},
        lambda r: {**r, LIAR: bytes(31)},
        lambda r: {c: v for c, v in r.items() if c != LIAR},
        lambda r: {**r, ClientId(9): bytes(32)},
    ],
)
def test_contribution_to_the_randomness_forged(nine: Deployment, change: Any) -> None:
    refuses(
        nine,
        Refusal.RANDOMNESS_FORGED,
        RandomnessList,
        lambda m: RandomnessList(change(m.randomness)),
    )


@provokes(Refusal.DIGEST_FORGED)
def test_own_upload_digest_forged_or_missing(nine: Deployment) -> None:
    for change in (
        lambda m: UploadList({**m.digests, VICTIM: Digest(bytes(32))}),
        lambda m: UploadList({c: v for c, v in m.digests.items() if c != VICTIM}),
    ):
        refuses(nine, Refusal.DIGEST_FORGED, UploadList, change)


@provokes(Refusal.VIEW_DISAGREES)
def test_member_of_the_accepted_that_signed_another_view(nine: Deployment) -> None:
    other = nine.keys[LIAR].sign(Tag.VIEW_SIGNATURE, bytes(32))
    for signatures in ({LIAR: other}, {}):
        played = refuses(
            nine,
            Refusal.VIEW_DISAGREES,
            AcceptedSet,
            lambda m, new=signatures: replace(
                m, signatures={c: s for c, s in m.signatures.items() if c != LIAR} | new
            ),
        )
        assert VICTIM not in played.said(Agreement)


def test_other_digest_of_a_peer_is_another_set_of_uploads(nine: Deployment) -> None:
    """The victim signs it, nobody else does: it opens no r and sends no statistics."""
    change = lie(UploadList, lambda m: UploadList({**m.digests, LIAR: Digest(bytes(32))}))
    played = play(nine, to_client=change)
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.said(RandomnessShares)
    assert VICTIM not in played.said(MaskedStatistics)
    exact(played, nine)


@pytest.mark.parametrize("known", [0, 5])
def test_no_share_of_r_without_a_quorum_on_exactly_its_own_uploads(
    nine: Deployment, known: int
) -> None:
    refuses(
        nine,
        Refusal.QUORUM_MISSING,
        ConsistencyList,
        lambda m: ConsistencyList(
            {**{c: bytes(64) for c in m.signatures}, **first_keys(m.signatures, known)}
        ),
    )


@provokes(Refusal.ACCEPTED_NOT_GROUPS)
def test_accepted_set_that_splits_a_group(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.ACCEPTED_NOT_GROUPS,
        AcceptedSet,
        lambda m: replace(m, accepted=m.accepted[:-1]),
    )


def test_a_lost_member_closes_its_group_and_no_other() -> None:
    nine = Deployment(9)
    groups = play(nine).summary.groups
    lost = groups[1][0]

    def vanish(client: ClientId, message: Any) -> Any:
        gone = isinstance(message, MaskedStatistics | Agreement | UpdateShares)
        return None if client == lost and gone else message

    played = play(nine, to_server=vanish)
    assert played.summary.groups == groups
    assert [group.index for group in played.summary.opened] == [0, 2]
    assert set(played.summary.accepted) == set(groups[0]) | set(groups[2])
    exact(played, nine)

    def sneak(client: ClientId, message: Any) -> Any:
        if isinstance(message, AcceptedSet):
            whole = {c: message.signatures.get(c, bytes(64)) for c in nine.everybody}
            return AcceptedSet(nine.everybody, whole)
        return message

    sneaked = play(nine, to_server=vanish, to_client=sneak)
    assert {g.refusal for g in sneaked.gave_up.values()} == {Refusal.VIEW_DISAGREES}
    assert sneaked.total is None


@provokes(Refusal.ACCEPTED_TOO_SMALL)
def test_accepted_set_below_own_floor(nine: Deployment) -> None:
    groups = play(nine).summary.groups
    refuses(
        nine,
        Refusal.ACCEPTED_TOO_SMALL,
        AcceptedSet,
        lambda m: replace(m, accepted=groups[0]),
        min_accepted=5,
    )


def test_accepted_set_with_fewer_than_two_honest_clients() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    smallest = min(play(pairs).summary.groups, key=len)
    assert len(smallest) == 2  # one assumed colluder, one honest
    refuses(pairs, Refusal.ACCEPTED_TOO_SMALL, AcceptedSet, lambda m: replace(m, accepted=smallest))


@provokes(Refusal.QUORUM_MISSING)
def test_fewer_than_a_quorum_of_valid_signatures(nine: Deployment) -> None:
    refuses(
        nine,
        Refusal.QUORUM_MISSING,
        AgreementList,
        lambda m: AgreementList(first_keys(m.signatures, 5)),
    )


def test_signatures_under_other_sets_or_of_strangers_do_not_count(nine: Deployment) -> None:
    state = play(nine).state
    transcript = nine.start().description.transcript()
    everybody = frozenset(nine.everybody)
    others = (
        agreement_parts(transcript, state.draw.view, frozenset(state.draw.groups[0])),
        agreement_parts(transcript, Digest(bytes(32)), everybody),
        agreement_parts(Digest(bytes(32)), state.draw.view, everybody),
    )
    for parts in others:
        forged = {c: nine.keys[c].sign(Tag.AGREEMENT, *parts) for c in nine.everybody}
        refuses(
            nine,
            Refusal.QUORUM_MISSING,
            AgreementList,
            lambda m, forged=forged: AgreementList({**forged, **first_keys(m.signatures, 5)}),
        )
    larger = Deployment(10)
    cohort = larger.everybody[:9]

    def pad(listed: AgreementList) -> AgreementList:
        return AgreementList({**first_keys(listed.signatures, 5), ClientId(9): bytes(64)})

    played = play(larger, start=larger.start(cohort=cohort), to_client=lie(AgreementList, pad))
    assert played.gave_up[VICTIM].refusal is Refusal.QUORUM_MISSING


@provokes(Refusal.SECOND_ANSWER)
@pytest.mark.parametrize(
    ("kind", "answer", "change"),
    [
        (KeyList, DealtShares, lambda m: KeyList(first_keys(m.keys, 8))),
        (ShareDelivery, Receipt, lambda m: replace(m, dealers=m.dealers[:8])),
        (DealerList, Upload, lambda m: DealerList(m.dealers[:8])),
        (UploadList, Consistency, lambda m: UploadList(first_keys(m.digests, 8))),
        (
            ConsistencyList,
            RandomnessShares,
            lambda m: ConsistencyList(first_keys(m.signatures, 8)),
        ),
        (RandomnessList, MaskedStatistics, lambda m: RandomnessList({})),
        (AcceptedSet, Agreement, lambda m: replace(m, accepted=m.accepted[:-1])),
        (AgreementList, UpdateShares, lambda m: AgreementList(first_keys(m.signatures, 8))),
    ],
)
def test_a_phase_is_answered_for_one_set_only(
    nine: Deployment, kind: type, answer: type, change: Any
) -> None:
    played = play(nine, to_client=lie(kind, lambda m: [m, m, change(m)]))
    assert played.gave_up[VICTIM].refusal is Refusal.SECOND_ANSWER
    answers = played.said(answer)[VICTIM]
    assert len(answers) == 2  # the identical request got the identical answer
    assert answers[0] == answers[1]


@provokes(Refusal.OUT_OF_TURN)
def test_message_of_another_phase(nine: Deployment) -> None:
    for kind in (KeyList, ShareDelivery, DealerList, UploadList, ConsistencyList, RandomnessList):
        played = play(nine, to_client=lie(kind, lambda m: AcceptedSet(nine.everybody, {})))
        assert played.gave_up[VICTIM].refusal is Refusal.OUT_OF_TURN
        assert VICTIM not in played.said(Agreement)


# A server that is honest, clients that are not --------------------------------------------------


def cheat(kind: type, change: Callable[[Any], Any], liar: ClientId = LIAR) -> Any:
    return lambda client, message: (
        change(message) if client == liar and isinstance(message, kind) else message
    )


def drops(
    deployment: Deployment, reason: DropReason, kind: type, change: Callable[[Any], Any]
) -> Played:
    """The liar is dropped with this reason, nobody else is, and the total is exact."""
    played = play(deployment, to_server=cheat(kind, change))
    assert played.dropped == {LIAR: reason}
    assert played.summary.dropped == {LIAR: reason}
    exact(played, deployment)
    return played


def resigned(deployment: Deployment, dealt: DealtShares, **changes: Any) -> DealtShares:
    changed = replace(dealt, **changes)
    parts = Dealing(
        changed.ciphertexts, changed.share_commitments, changed.secret_commitments
    ).signed_parts()
    transcript = deployment.start().description.transcript()
    return replace(changed, signature=deployment.keys[LIAR].sign(Tag.DEALING, transcript, *parts))


def readvertised(deployment: Deployment, keys: AdvertisedKeys, **changes: bytes) -> AdvertisedKeys:
    changed = replace(keys, **changes)
    transcript = deployment.start().description.transcript()
    signature = deployment.keys[LIAR].sign(Tag.ADVERTISE, transcript, *changed.signed_parts())
    return replace(changed, signature=signature)


@provokes(DropReason.SILENT)
@pytest.mark.parametrize(
    "kind",
    [
        AdvertisedKeys,
        DealtShares,
        Receipt,
        Upload,
        Consistency,
        RandomnessShares,
        MaskedStatistics,
        Agreement,
        UpdateShares,
    ],
)
def test_silence_in_any_phase(nine: Deployment, kind: type) -> None:
    drops(nine, DropReason.SILENT, kind, lambda m: None)


@provokes(DropReason.BAD_SIGNATURE)
@pytest.mark.parametrize(
    "kind", [AdvertisedKeys, DealtShares, Receipt, Consistency, MaskedStatistics, Agreement]
)
def test_signature_that_does_not_verify(nine: Deployment, kind: type) -> None:
    drops(nine, DropReason.BAD_SIGNATURE, kind, lambda m: replace(m, signature=bytes(64)))


def bad_share(shares: OpenedShares) -> OpenedShares:
    first = min(shares.self_seeds)
    value = bytes([shares.self_seeds[first].value[0] ^ 1]) + shares.self_seeds[first].value[1:]
    wrong = Share(value, shares.self_seeds[first].salt)
    return OpenedShares({**shares.self_seeds, first: wrong}, shares.mask_keys)


@provokes(DropReason.MALFORMED)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (DealtShares, lambda d, m: replace(m, ciphertexts=first_keys(m.ciphertexts, 7))),
        (
            DealtShares,
            lambda d, m: resigned(d, m, share_commitments=first_keys(m.share_commitments, 8)),
        ),
        (
            DealtShares,
            lambda d, m: resigned(
                d, m, share_commitments={c: r[:2] for c, r in m.share_commitments.items()}
            ),
        ),
        (
            DealtShares,
            lambda d, m: resigned(d, m, secret_commitments=(*m.secret_commitments, bytes(32))),
        ),
        (AdvertisedKeys, lambda d, m: readvertised(d, m, encryption=bytes(32))),
        (AdvertisedKeys, lambda d, m: readvertised(d, m, update_mask=m.encryption)),
        (Upload, lambda d, m: replace(m, payload=m.payload[:-4])),
        (Upload, lambda d, m: replace(m, payload=m.payload + b"\0")),
        (Receipt, lambda d, m: replace(m, unreadable=(LIAR,))),
        (
            RandomnessShares,
            lambda d, m: RandomnessShares({**m.shares, ClientId(11): m.shares[LIAR]}),
        ),
        (MaskedStatistics, lambda d, m: replace(m, payload=m.payload[:-8])),
        (MaskedStatistics, lambda d, m: MaskedStatistics(b"", b"")),
        (
            UpdateShares,
            lambda d, m: UpdateShares(
                OpenedShares({**m.shares.self_seeds, ClientId(11): m.shares.self_seeds[LIAR]}, {})
            ),
        ),
    ],
)
def test_message_of_the_wrong_shape(nine: Deployment, kind: type, change: Any) -> None:
    drops(nine, DropReason.MALFORMED, kind, lambda m: change(nine, m))


def test_key_that_somebody_else_advertised(nine: Deployment) -> None:
    seen: dict[ClientId, AdvertisedKeys] = {}

    def copy(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            seen[client] = message
            if client == LIAR:
                return readvertised(nine, message, update_mask=seen[VICTIM].update_mask)
        return message

    played = play(nine, to_server=copy)
    assert played.dropped == {LIAR: DropReason.MALFORMED}
    exact(played, nine)


@provokes(DropReason.OUT_OF_TURN)
def test_message_of_a_later_phase(nine: Deployment) -> None:
    drops(nine, DropReason.OUT_OF_TURN, DealtShares, lambda m: Agreement(bytes(64)))


def test_message_of_a_later_phase_beside_the_right_one(nine: Deployment) -> None:
    played = play(nine, to_server=cheat(Upload, lambda m: [m, Agreement(bytes(64))]))
    assert played.dropped == {LIAR: DropReason.OUT_OF_TURN}


@provokes(DropReason.EQUIVOCATION)
def test_two_different_answers_in_one_phase(nine: Deployment) -> None:
    def twice(message: Upload) -> list[Upload]:
        return [message, replace(message, payload=bytes(len(message.payload)))]

    played = play(nine, to_server=cheat(Upload, twice))
    assert played.dropped == {LIAR: DropReason.EQUIVOCATION}
    assert LIAR not in played.summary.accepted
    exact(played, nine)


@pytest.mark.parametrize(
    "kind",
    [AdvertisedKeys, DealtShares, Receipt, Upload, Consistency, MaskedStatistics, Agreement],
)
def test_an_identical_repeat_and_a_late_message_change_nothing(
    nine: Deployment, kind: type
) -> None:
    early: list[Any] = []

    def repeat(client: ClientId, message: Any) -> Any:
        if client == LIAR:
            if isinstance(message, kind):
                early.append(message)
                return [message, message]
            return [*early, message]  # the answer to an earlier phase comes again, late
        return message

    played = play(nine, to_server=repeat)
    assert not played.dropped
    exact(played, nine)


@provokes(DropReason.BAD_DIGEST)
def test_upload_that_does_not_match_its_digest(nine: Deployment) -> None:
    drops(nine, DropReason.BAD_DIGEST, Upload, lambda m: replace(m, digest=Digest(bytes(32))))


@provokes(DropReason.BAD_COMMITMENT)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (
            RandomnessShares,
            lambda d, m: RandomnessShares({**m.shares, VICTIM: m.shares[LIAR]}),
        ),
        (
            DealtShares,
            lambda d, m: resigned(
                d, m, secret_commitments=(*m.secret_commitments[:2], Digest(bytes(32)))
            ),
        ),
        (UpdateShares, lambda d, m: UpdateShares(bad_share(m.shares))),
    ],
)
def test_opened_value_against_its_commitment(nine: Deployment, kind: type, change: Any) -> None:
    drops(nine, DropReason.BAD_COMMITMENT, kind, lambda m: change(nine, m))


@provokes(DropReason.NOT_INVITED)
def test_stranger_is_named_and_changes_nothing() -> None:
    eight = Deployment(8)
    server = RoundServer(eight.start(cohort=eight.everybody[:7]), eight.policy, {})
    server.start()
    effects = server.on_message(ClientId(7), Agreement(bytes(64)))
    assert effects == [Dropped(ClientId(7), DropReason.NOT_INVITED, "")]
    assert not server.summary.dropped


# Aborts -----------------------------------------------------------------------------------------


@provokes(
    AbortReason.TOO_FEW_ADVERTISED,
    AbortReason.TOO_FEW_DEALT,
    AbortReason.TOO_FEW_UPLOADED,
    AbortReason.TOO_FEW_CONSISTENT,
    AbortReason.TOO_FEW_STATISTICS,
    AbortReason.TOO_FEW_SHARES,
    AbortReason.TOO_FEW_AGREED,
)
@pytest.mark.parametrize(
    ("kind", "missing", "reason"),
    [
        (AdvertisedKeys, 4, AbortReason.TOO_FEW_ADVERTISED),
        (DealtShares, 4, AbortReason.TOO_FEW_DEALT),
        (Receipt, 4, AbortReason.TOO_FEW_DEALT),
        (Upload, 4, AbortReason.TOO_FEW_UPLOADED),
        (Consistency, 4, AbortReason.TOO_FEW_CONSISTENT),
        (RandomnessShares, 4, AbortReason.TOO_FEW_SHARES),
        (MaskedStatistics, 9, AbortReason.TOO_FEW_STATISTICS),
        (Agreement, 4, AbortReason.TOO_FEW_AGREED),
        (UpdateShares, 4, AbortReason.TOO_FEW_SHARES),
    ],
)
def test_too_few_clients(nine: Deployment, kind: type, missing: int, reason: AbortReason) -> None:
    def quiet(client: ClientId, message: Any) -> Any:
        return None if client < missing and isinstance(message, kind) else message

    played = play(nine, to_server=quiet)
    assert played.aborted is reason
    assert played.total is None
    assert played.server.on_message(VICTIM, Agreement(bytes(64))) == []
    assert played.server.on_deadline() == []


@provokes(AbortReason.TOO_FEW_ACCEPTED)
def test_too_few_accepted_groups_or_clients(nine: Deployment) -> None:
    played = play(nine, decide=lambda groups, plan: Decision((), {}))
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert set(played.summary.left_out) == {GroupIndex(k) for k in range(3)}
    few = play(nine, decide=lambda groups, plan: Decision((groups[0].index,), {}))
    assert few.aborted is AbortReason.TOO_FEW_ACCEPTED  # three of at least five


def test_fewer_accepted_groups_than_configured() -> None:
    both = Deployment(9, 0, replace(PARAMS, min_accepted_groups=3))
    two = tuple(GroupIndex(k) for k in range(2))
    played = play(both, decide=lambda groups, plan: Decision(two, {}))
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert not played.summary.unmasking


def test_memory_refuses_to_sign_another_set_after_a_restart() -> None:
    one, two = Digest(bytes(32)), Digest(bytes([1]) * 32)
    memory = ClientMemory().joined(3).signing("agree", one, left_out=2)
    again = decode_memory(encode(memory))
    assert again.signing("agree", one, left_out=2) == memory  # the same set is not counted twice
    with pytest.raises(Refused) as error:
        again.signing("agree", two)
    assert error.value.reason is Refusal.SECOND_ANSWER
    assert again.joined(4).signing("agree", two).left_out == 2


def test_a_member_lost_in_every_group_ends_the_round() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    heads = {group[0] for group in play(pairs).summary.groups}

    def quiet(client: ClientId, message: Any) -> Any:
        lone = client not in heads and isinstance(message, MaskedStatistics)
        return None if lone else message

    played = play(pairs, to_server=quiet)
    assert set(played.summary.sent) == heads
    assert not played.summary.opened
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS


@provokes(AbortReason.BINDING_FAILED)
@pytest.mark.parametrize("bit", [0, 15, 40, 63])
def test_statistics_that_are_not_those_of_the_update(nine: Deployment, bit: int) -> None:
    def shift(message: MaskedStatistics) -> MaskedStatistics:
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] += np.uint64(1 << bit)  # bits 15, 40 and 63 lie above the update's ring
        return replace(message, payload=words.tobytes())

    played = play(nine, to_server=cheat(MaskedStatistics, shift))
    assert played.aborted is AbortReason.BINDING_FAILED
    assert played.total is None
    assert played.summary.total_opened


@provokes(AbortReason.BAD_RECONSTRUCTION)
@pytest.mark.parametrize("kind", [SecretKind.SELF_SEED])
def test_dealer_whose_shares_restore_another_secret(nine: Deployment, kind: SecretKind) -> None:
    def lie_about(message: DealtShares) -> DealtShares:
        commitments = list(message.secret_commitments)
        commitments[kind.value] = Digest(bytes(32))
        return resigned(nine, message, secret_commitments=tuple(commitments))

    played = play(nine, to_server=cheat(DealtShares, lie_about))
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION
    assert played.total is None


def test_dealt_mask_key_that_is_not_the_advertised_one(nine: Deployment) -> None:
    other = KeyPair.draw(nine.entropy("other")).public

    def hook(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, AdvertisedKeys):
            return readvertised(nine, message, update_mask=other)
        if client == LIAR and isinstance(message, Upload):
            return None  # left out of the sum, so its key must be restored
        return message

    keep_own = {}

    def to_client(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, KeyList):  # the liar knows its own lie
            return KeyList({**message.keys, LIAR: keep_own[LIAR]})
        return message

    def remember(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            keep_own[client] = message
        return hook(client, message)

    played = play(nine, to_server=remember, to_client=to_client)
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION


@provokes(AbortReason.SERVER_STOPPED)
def test_operator_stops_the_server(nine: Deployment) -> None:
    server = RoundServer(nine.start(), nine.policy, {})
    server.start()
    assert [e.reason for e in server.stop()] == [AbortReason.SERVER_STOPPED]  # type: ignore[union-attr]
    assert server.over
    assert server.stop() == []


# A client that was given another model ----------------------------------------------------------


def other_model(deployment: Deployment, start: RoundStart) -> RoundStart:
    model = start.model.copy()
    model.view(np.uint32)[0] ^= 1
    return replace(
        start, model=model, description=replace(start.description, model=model_digest(model))
    )


def test_one_bit_of_the_model_costs_the_client_its_place(nine: Deployment) -> None:
    start = nine.start(step=1)  # that of step 0 is in the policy
    played = play(nine, start=start, to_client=lie(RoundStart, lambda m: other_model(nine, m)))
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.summary.accepted
    exact(played, nine)


def test_one_bit_of_the_model_passed_on_ends_the_round(nine: Deployment) -> None:
    real = {}

    def note(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, AdvertisedKeys):
            real[client] = message
        return message

    def server(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, RoundStart):
            return other_model(nine, message)
        if isinstance(message, KeyList):
            return KeyList({**message.keys, **real})
        return message

    played = play(nine, start=nine.start(step=1), to_client=server, to_server=note)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.KEYS_SUBSTITUTED}
    assert len(played.gave_up) == 8
    assert played.aborted is AbortReason.TOO_FEW_DEALT
    assert played.total is None


# Rule 1 over all answers, rule 3, rule 4 --------------------------------------------------------


def shares_by_peer(played: Played, kind: type) -> dict[ClientId, tuple[int, int]]:
    """Peer → how many holders released its seed, how many its key."""
    seeds: dict[ClientId, set[ClientId]] = {}
    keys: dict[ClientId, set[ClientId]] = {}
    for holder, messages in played.said(kind).items():
        for message in messages:
            for peer in message.shares.self_seeds:  # type: ignore[union-attr]
                seeds.setdefault(peer, set()).add(holder)
            for peer in message.shares.mask_keys:  # type: ignore[union-attr]
                keys.setdefault(peer, set()).add(holder)
    assert all(
        not (set(m.shares.self_seeds) & set(m.shares.mask_keys))  # type: ignore[union-attr]
        for messages in played.said(kind).values()
        for m in messages
    )
    return {
        peer: (len(seeds.get(peer, ())), len(keys.get(peer, ()))) for peer in seeds.keys() | keys
    }


@pytest.mark.parametrize("split", range(1, 9))
def test_no_split_of_the_sets_opens_both_secrets_of_a_peer(nine: Deployment, split: int) -> None:
    group = play(nine).summary.groups[0]

    def equivocate(client: ClientId, message: Any) -> Any:
        if isinstance(message, AcceptedSet) and client < split:
            return replace(message, accepted=group)
        return message

    played = play(nine, to_client=equivocate)
    threshold = 6
    for seeds, keys in shares_by_peer(played, UpdateShares).values():
        # with c = 1 colluder, who would release both
        assert not (seeds + 1 >= threshold and keys + 1 >= threshold)
    if played.total is not None:
        exact(played, nine)


def test_every_attempt_draws_new_keys_and_masks(nine: Deployment) -> None:
    machines = nine.machines()

    def closed(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, MaskedStatistics) else message

    first = play(nine, machines=machines, to_server=closed)
    second = play(nine, start=nine.start(1), machines=machines)
    one, two = (
        {key for keys in known.values() for key in (*keys.public_keys(), keys.randomness)}
        for known in (first.state.wired.keys, second.state.wired.keys)
    )
    assert len(one) == len(two) == 36
    assert not one & two
    ours, theirs = first.state.uploads.digests, second.state.uploads.digests
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())


def test_memory_is_durable_before_a_signature_leaves(nine: Deployment) -> None:
    played = play(nine)
    for effects in played.client_effects.values():
        order = [
            type(e.message).__name__ if isinstance(e, Reply) else "remember"
            for e in effects
            if isinstance(e, Reply | Remember)
        ]
        for kind in (
            "AdvertisedKeys", "Upload", "Consistency", "MaskedStatistics", "Agreement",
            "UpdateShares",
        ):  # fmt: skip
            assert order[order.index(kind) - 1] == "remember"
        memories = [e.memory for e in effects if isinstance(e, Remember)]
        assert memories[0].counter == 0
        assert memories[1].attempts == 1
        assert set(memories[2].signed) == {"uploads"}
        assert memories[2].openings == 0
        assert set(memories[3].signed) == {"uploads", "view"}
        assert memories[3].openings == 1
        assert memories[3].smallest_group == 3
        assert set(memories[4].signed) == {"uploads", "view", "agree"}
        assert not memories[4].total_helped
        assert memories[5].total_helped


def test_memory_survives_a_restart(nine: Deployment) -> None:
    machines = nine.machines()
    play(nine, machines=machines)
    memory = decode_memory(encode(machines[VICTIM].memory))
    assert memory == machines[VICTIM].memory
    assert refused(invite(nine, nine.start(0), memory)) is Refusal.ROUND_REPLAYED
    assert refused(invite(nine, nine.start(1), memory)) is Refusal.TOTAL_REPEATED
    assert invite(nine, nine.start(1, step=1), memory) is None
    with pytest.raises(ValueError, match="not a fact"):
        decode_memory("{}")


def test_server_makes_facts_durable_before_it_speaks(nine: Deployment) -> None:
    effects = play(nine).effects
    kinds = [
        type(e.fact if isinstance(e, Persist) else e.message)
        for e in effects
        if isinstance(e, Persist | Send)
    ]
    for fact, message in (
        (RoundBegun, RoundStart),
        (DealersFixed, DealerList),
        (Attempted, DealerList),
        (UploadsFixed, UploadList),
        (GroupsDrawn, RandomnessList),
        (SumsOpened, AcceptedSet),
        (SetAccepted, AcceptedSet),
        (UnmaskingBegun, AgreementList),
    ):
        assert kinds.index(fact) < kinds.index(message)
    assert kinds.count(UploadKept) == 9
    assert max(i for i, k in enumerate(kinds) if k is UploadKept) < kinds.index(UploadList)
    facts = repr([e for e in effects if isinstance(e, Persist)])
    assert "Secret" not in facts
    assert "Share" not in facts


def test_late_update_is_not_kept(nine: Deployment) -> None:
    machine: ClientMachine = nine.machine(VICTIM)
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    played = play(nine, machines={**nine.machines(), VICTIM: machine})
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    assert machine._update is None
    exact(played, nine)


def test_groups_are_drawn_over_the_uploads_and_none_is_smaller_than_g() -> None:
    kit = Deployment(9, 2, replace(PARAMS, group_size=4))
    lost = ClientId(8)

    def vanish(client: ClientId, message: Any) -> Any:
        return None if client == lost and isinstance(message, Upload) else message

    played = play(kit, to_server=vanish)
    assert sorted(map(len, played.summary.groups)) == [4, 4]
    assert not any(lost in group for group in played.summary.groups)
    exact(played, kit)


COVERED.add(Refusal.MASKS_WOULD_SHOW)  # tests/unit/round/test_sparse.py
COVERED.update(  # tests/unit/round/test_invitation.py
    {
        Refusal.COHORT_TOO_SMALL,
        Refusal.ATTEMPTS_EXHAUSTED,
        Refusal.BUDGET_SPENT,
        Refusal.FORGED_MEANS,
        Refusal.GROUP_TOO_SMALL,
        Refusal.POLICY_EXPIRED,
        Refusal.RING_OVERFLOW,
        Refusal.ROUND_REPLAYED,
        Refusal.STATISTICS_TOO_LARGE,
        Refusal.TOO_MANY_DISPUTED,
        Refusal.TOTAL_REPEATED,
        Refusal.WRONG_COHORT,
        Refusal.WRONG_CONFIGURATION,
        Refusal.WRONG_MODEL,
        Refusal.WRONG_POLICY,
        Refusal.WRONG_STEP,
    }
)


@pytest.mark.parametrize("reason", [*Refusal, *DropReason, *AbortReason], ids=str)
def test_every_named_reason_is_provoked_by_a_test(reason: Any) -> None:
    assert reason in COVERED


def test_small_plan_has_every_part() -> None:
    assert {type(p) for p in small_plan().parts} == {OutputLayer, CountSketch, LabelRows}
