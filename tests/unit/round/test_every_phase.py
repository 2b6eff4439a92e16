"""What holds in every phase: floors, silence, signatures, shapes, repetitions, equivocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lying import (
    LIAR,
    VICTIM,
    cheat,
    drops,
    exact,
    first_keys,
    lie,
    provokes,
    readvertised,
    refuses,
    resigned,
)
from rounds_kit import (
    Deployment,
    lacking,
    play,
    whole_list,
)

from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
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
    ShareDelivery,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.server.context import Dropped
from auror.round.server.machine import RoundServer
from auror.secagg.client.unmask import OpenedShares


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: whole_list(first_keys(m.keys, 4))),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[:4])),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[1:])),
        (DealerList, lambda m: DealerList(m.dealers[:4])),
        (DealerList, lambda m: DealerList(m.dealers[1:])),
        (UploadList, lambda m: lacking(m, *m.uploaded[4:])),
    ],
)
def test_announced_set_below_the_floor(nine: Deployment, kind: type, change: Any) -> None:
    refuses(nine, Refusal.COHORT_TOO_SMALL, kind, change)


@provokes(Refusal.SET_NOT_SUBSET)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: whole_list({**m.keys, ClientId(9): m.keys[LIAR]})),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, ClientId(9)))),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, LIAR))),
        (DealerList, lambda m: DealerList((*m.dealers, ClientId(9)))),
        (DealerList, lambda m: DealerList((*m.dealers, LIAR))),
        (UploadList, lambda m: replace(m, uploaded=(*m.uploaded, ClientId(9)))),
        (AcceptedSet, lambda m: replace(m, accepted=(*m.accepted, ClientId(9)))),
        (AcceptedSet, lambda m: replace(m, accepted=(*m.accepted, LIAR))),
    ],
)
def test_announced_set_is_no_part_of_the_one_before(
    nine: Deployment, kind: type, change: Any
) -> None:
    refuses(nine, Refusal.SET_NOT_SUBSET, kind, change)


@provokes(Refusal.SECOND_ANSWER)
@pytest.mark.parametrize(
    ("kind", "answer", "change"),
    [
        (KeyList, DealtShares, lambda m: whole_list(first_keys(m.keys, 8))),
        (ShareDelivery, Receipt, lambda m: replace(m, dealers=m.dealers[:8])),
        (DealerList, Upload, lambda m: DealerList(m.dealers[:8])),
        (UploadList, Consistency, lambda m: lacking(m, ClientId(8))),
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


@provokes(DropReason.NOT_INVITED)
def test_stranger_is_named_and_changes_nothing() -> None:
    eight = Deployment(8)
    server = RoundServer(eight.start(cohort=eight.everybody[:7]), eight.policy, {})
    server.start()
    effects = server.on_message(ClientId(7), Agreement(bytes(64)))
    assert effects == [Dropped(ClientId(7), DropReason.NOT_INVITED, "")]
    assert not server.summary.dropped


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


@provokes(AbortReason.SERVER_STOPPED)
def test_operator_stops_the_server(nine: Deployment) -> None:
    server = RoundServer(nine.start(), nine.policy, {})
    server.start()
    assert [e.reason for e in server.stop()] == [AbortReason.SERVER_STOPPED]  # type: ignore[union-attr]
    assert server.over
    assert server.stop() == []
