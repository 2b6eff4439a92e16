"""The byte formula, part by part, against what is really sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rounds_kit import PARAMS, POLICY, Deployment, play

from auror.ids import RoundId
from auror.round.messages import (
    AcceptedSet,
    AdvertisedKeys,
    Agreement,
    AgreementList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RoundEnd,
    RoundStart,
    ShareDelivery,
    StatisticsList,
    StatisticsShares,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.secagg.quantize import ring_bits
from auror.wire import codec, sizes
from auror.wire.frames import client_frames, server_frames


@pytest.mark.parametrize(("count", "bits", "lost"), [(7, 12, None), (12, 16, 5), (140, 5, 131)])
def test_every_message_has_the_bytes_that_the_formula_says(
    count: int, bits: int, lost: int | None
) -> None:
    deployment = Deployment(
        count, 2, replace(PARAMS, quantisation_bits=bits), replace(POLICY, min_group=1)
    )

    def losing(client: Any, message: Any) -> Any:
        return None if client == lost and isinstance(message, Upload) else message

    played = play(deployment, to_server=losing)
    progress, everybody = played.progress, range(count)
    assert progress.graph is not None
    near, up = progress.graph.neighbours, tuple(progress.digests)
    plan, m = progress.plan, ring_bits(count, bits)
    assert plan is not None
    expected = {
        AdvertisedKeys: lambda c: sizes.advertised_keys(),
        DealtShares: lambda c: sizes.dealt_shares(c, near[c]),
        Upload: lambda c: sizes.upload(plan.dim, m, (*near[c], c)),
        MaskedStatistics: lambda c: sizes.masked_statistics(plan.rows),
        StatisticsShares: lambda c: sizes.opened_shares([i for i in up if i in (*near[c], c)]),
        Agreement: lambda c: sizes.agreement(),
        UpdateShares: lambda c: sizes.opened_shares((*near[c], c)),
        KeyList: lambda c: sizes.key_list(everybody),
        ShareDelivery: lambda c: sizes.share_delivery(everybody, near[c]),
        UploadList: lambda c: sizes.upload_list(up, everybody),
        StatisticsList: lambda c: sizes.signature_list(up),
        AcceptedSet: lambda c: sizes.accepted_set(progress.accepted),
        AgreementList: lambda c: sizes.signature_list(list(progress.agreed)),
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
    AdvertisedKeys, DealtShares, Upload, MaskedStatistics, StatisticsShares, Agreement, UpdateShares
}  # fmt: skip


@pytest.mark.parametrize(
    ("clients", "dim", "expansion"),
    [(2**10, 2**20, 1.73), (2**14, 2**24, 1.98), (2**14, 2**20, 3.62)],
)  # fmt: skip
def test_the_published_formula(clients: int, dim: int, expansion: float) -> None:
    found = sizes.published_formula(clients, dim, 16, ring_bits(clients, 16))
    assert found == pytest.approx(expansion, abs=0.005)


def test_large_uploads_are_cut_into_chunks() -> None:
    assert sizes.framed(1 << 20, 0) - (1 << 20) == pytest.approx(4 * 9 + 70, abs=10)
