"""The byte formula, part by part, against what is really sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rounds_kit import PARAMS, Deployment, play

from auror.ids import ClientId, RoundId
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
    RoundEnd,
    RoundStart,
    ShareDelivery,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.secagg.quantise import ring_bits
from auror.wire import codec, sizes
from auror.wire.frames import client_frames, server_frames


@pytest.mark.parametrize(
    ("count", "bits", "lost", "sparse"),
    [
        (7, 12, None, False),
        (12, 16, 5, False),
        pytest.param(140, 5, 131, True, marks=pytest.mark.no_cover),
    ],
)
def test_every_message_has_the_bytes_that_the_formula_says(
    count: int, bits: int, lost: int | None, sparse: bool
) -> None:
    deployment = Deployment(count, 2, replace(PARAMS, quantisation_bits=bits))
    machines, own = deployment.machines(), (count - 1, 0, 3)  # client 2 has two rules of its own
    machines[ClientId(2)] = deployment.machine(ClientId(2), min_present=own[0], min_group=own[2])
    floors = {2: own}

    def losing(client: Any, message: Any) -> Any:
        return None if client == lost and isinstance(message, Upload) else message

    played = play(deployment, machines=machines, to_server=losing)
    state, everybody = played.state, range(count)
    assert state.wired.graph.is_complete is not sparse
    near, up = state.wired.graph.neighbours, played.summary.uploaded
    assert len(up) == count - (lost is not None)
    signed, agreed = list(played.said(Consistency)), list(played.said(Agreement))
    assert (len(signed) < len(up)) is sparse  # of a sparse cohort only a committee signs
    plan, m = state.draw.plan, ring_bits(count, bits)
    assert plan is not None
    committee, accepted = played.server.context.committee, played.summary.accepted

    def strangers(client: int) -> list[int]:
        (group,) = (g for g in state.draw.groups if client in g)
        return sorted({*group} - {client, *near[client]})

    expected = {
        AdvertisedKeys: lambda c: sizes.advertised_keys(floors.get(c, ())),
        DealtShares: lambda c: sizes.dealt_shares(c, near[c]),
        Receipt: lambda c: sizes.receipt(),
        Upload: lambda c: sizes.upload(plan.dim, m),
        Consistency: lambda c: sizes.signature(),
        RandomnessShares: lambda c: sizes.randomness_shares(
            [d for d in (*near[c], c) if d in committee]
        ),
        MaskedStatistics: lambda c: sizes.masked_statistics(plan.rows),
        Agreement: lambda c: sizes.signature(),
        UpdateShares: lambda c: sizes.opened_shares((*near[c], c)),
        KeyList: lambda c: sizes.key_list(everybody, sorted((*near[c], c)), committee, floors),
        ShareDelivery: lambda c: sizes.share_delivery(everybody, near[c]),
        DealerList: lambda c: sizes.dealer_list(everybody),
        UploadList: lambda c: sizes.upload_list(up, c),
        ConsistencyList: lambda c: sizes.signature_list(signed),
        RandomnessList: lambda c: sizes.randomness_list(
            sorted(committee), everybody, strangers(c), floors
        ),
        AcceptedSet: lambda c: sizes.accepted_set(
            accepted, [m for m in accepted if m in near[c] or (m == c and not sparse)]
        ),
        AgreementList: lambda c: sizes.signature_list(agreed),
    }
    seen = set()
    for client, message in (*played.replies, *played.told):
        if isinstance(message, RoundStart | RoundEnd) or client == lost:
            continue
        sent_up = type(message) in _FROM_CLIENT
        body = codec.encode_client(message) if sent_up else codec.encode_server(message)  # type: ignore[arg-type]
        assert len(body) == expected[type(message)](client), type(message).__name__
        cut = client_frames if sent_up else server_frames
        frames = list(cut(RoundId(300, bytes(16)), codec.kind_of(message), body))
        assert sum(5 + len(frame) for frame in frames) == sizes.framed(len(body), 300)
        seen.add(type(message))
    assert seen == expected.keys()


_FROM_CLIENT = {
    AdvertisedKeys, DealtShares, Receipt, Upload, Consistency, RandomnessShares, MaskedStatistics,
    Agreement, UpdateShares,
}  # fmt: skip


@pytest.mark.parametrize("names", [(), (0,), (0, 127), (5, 128, 16_383), (16_384, 70_000)])
def test_a_receipt_grows_with_the_names_on_it(names: tuple[int, ...]) -> None:
    receipt = Receipt(tuple(ClientId(c) for c in names), bytes(64))
    assert len(codec.encode_client(receipt)) == sizes.receipt(names)


@pytest.mark.parametrize(
    ("clients", "dim", "expansion"),
    [(2**10, 2**20, 1.73), (2**14, 2**24, 1.98), (2**14, 2**20, 3.62)],
)  # fmt: skip
def test_the_published_formula(clients: int, dim: int, expansion: float) -> None:
    found = sizes.published_formula(clients, dim, 16, ring_bits(clients, 16))
    assert found == pytest.approx(expansion, abs=0.005)


def test_large_uploads_are_cut_into_chunks() -> None:
    assert sizes.framed(1 << 20, 0) - (1 << 20) == pytest.approx(16 * 9 + 70, abs=10)
