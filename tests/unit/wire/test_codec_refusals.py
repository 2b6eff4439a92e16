"""The codec: what does not fit its limits, sizes or order gets nowhere."""

from __future__ import annotations

import re

import numpy as np
import pytest
from codec_kit import LIMITS, start

from auror.ids import ClientId, Digest
from auror.round import messages as m
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.sharing import Share
from auror.wire import codec, fields
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import round_pb2 as pb


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": np.zeros(39, dtype=np.float32)}, "model: 156 bytes"),
        ({"plan": StatisticsPlan(51, ())}, "dim: 51"),
        ({"plan": StatisticsPlan(40, (OutputLayer(39, 2),))}, "does not fit"),
        ({"plan": StatisticsPlan(40, (OutputLayer(0, 40),) * 3)}, "120 rows"),
        ({"plan": StatisticsPlan(40, (OutputLayer(0, 1),) * 17)}, "17 parts"),
    ],
)
def test_a_round_start_that_does_not_fit_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(WireError, match=re.escape(says)):
        codec.decode_server(Kind.ROUND_START, codec.encode_server(start(**change)), LIMITS)


@pytest.mark.parametrize("algorithm", [0, 2, 7])
def test_keys_of_another_algorithm_are_refused(algorithm: int) -> None:
    wire = pb.ClientMessage(
        advertised_keys=pb.AdvertisedKeys(
            encryption=bytes(32),
            update_mask=bytes(32),
            statistics_mask=bytes(32),
            randomness=bytes(32),
            signature=bytes(64),
        )
    )
    wire.advertised_keys.algorithm = algorithm  # type: ignore[assignment]
    with pytest.raises(WireError, match=f"algorithm {algorithm}, only X25519"):
        codec.decode_client(Kind.ADVERTISED_KEYS, wire.SerializeToString(), LIMITS)


def test_class_means_without_a_source_are_refused() -> None:
    wire = pb.ServerMessage()
    wire.ParseFromString(codec.encode_server(start()))
    for source in (0, 3):
        wire.round_start.plan.parts[2].label_rows.source = source
        with pytest.raises(WireError, match="source"):
            codec.decode_server(Kind.ROUND_START, wire.SerializeToString(), LIMITS)


@pytest.mark.parametrize("watch", [0, 3, -1])
def test_a_round_that_is_watched_in_an_unknown_way_is_refused(watch: int) -> None:
    wire = pb.ServerMessage()
    wire.ParseFromString(codec.encode_server(start()))
    wire.round_start.description.watch = watch  # type: ignore[assignment]
    with pytest.raises(WireError, match=f"watch: unknown value {watch}"):
        codec.decode_server(Kind.ROUND_START, wire.SerializeToString(), LIMITS)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("deployment", bytes(15), "deployment: 15 bytes, 16"),
        ("policy", bytes(33), "policy: 33 bytes, 32"),
        ("parent", b"", "parent: 0 bytes, 32"),
        ("model", bytes(31), "model: 31 bytes, 32"),
        ("plan", bytes(31), "plan: 31 bytes, 32"),
    ],
)
def test_descriptions_with_fields_of_another_size_are_refused(
    field: str, value: bytes, says: str
) -> None:
    wire = pb.ServerMessage()
    wire.ParseFromString(codec.encode_server(start()))
    setattr(wire.round_start.description, field, value)
    with pytest.raises(WireError, match=says):
        codec.decode_server(Kind.ROUND_START, wire.SerializeToString(), LIMITS)


def test_two_shares_for_one_peer_are_refused() -> None:
    twice = [
        pb.OpenedShare(client=1, self_seed=bytes(49)),
        pb.OpenedShare(client=1, mask_key=bytes(49)),
    ]
    body = pb.ClientMessage(update_shares=pb.UpdateShares(shares=twice)).SerializeToString()
    with pytest.raises(WireError, match="out of order"):
        codec.decode_client(Kind.UPDATE_SHARES, body, LIMITS)


def test_unknown_clients_are_refused() -> None:
    known, unknown = ClientId(1), ClientId(12)
    share, signature, digest = Share.from_bytes(bytes(49)), bytes(64), Digest(bytes(32))
    for message in (
        m.DealerList((known, unknown)),
        m.UploadList((known, unknown), ()),
        m.KeyList((known, unknown), {}, {}, ()),
        m.KeyList((), {}, {unknown: digest}, ()),
        m.ConsistencyList({known: signature, unknown: signature}),
        m.RandomnessList({known: digest, unknown: digest}),
        m.AcceptedSet((known, unknown), {}),
        m.AcceptedSet((known,), {unknown: signature}),
        m.AgreementList({unknown: signature}),
    ):
        body = codec.encode_server(message)
        with pytest.raises(WireError, match="client 12"):
            codec.decode_server(codec.kind_of(message), body, LIMITS)
    for answer in (
        m.Receipt((known, unknown), signature),
        m.RandomnessShares({unknown: share}),
        m.UpdateShares(OpenedShares({unknown: share}, {})),
        m.CrossMasks({unknown: b""}),
    ):
        body = codec.encode_client(answer)
        with pytest.raises(WireError, match="client 12"):
            codec.decode_client(codec.kind_of(answer), body, LIMITS)


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (pb.ClientMessage(receipt=pb.Receipt(unreadable=[2, 1], signature=bytes(64))), "order"),
        (pb.ClientMessage(receipt=pb.Receipt(unreadable=[1, 1], signature=bytes(64))), "order"),
        (pb.ClientMessage(receipt=pb.Receipt(unreadable=[1])), "signature: 0 bytes, 64"),
        (pb.ClientMessage(consistency=pb.Consistency(signature=bytes(63))), "63 bytes, 64"),
        (
            pb.ClientMessage(
                randomness_shares=pb.RandomnessShares(
                    shares=[pb.ShareEntry(client=1, share=bytes(48))]
                )
            ),
            "share of randomness: a share has 49 bytes",
        ),
        (
            pb.ClientMessage(
                randomness_shares=pb.RandomnessShares(
                    shares=[pb.ShareEntry(client=1, share=bytes(49))] * 2
                )
            ),
            "order",
        ),
        (pb.ServerMessage(dealer_list=pb.DealerList(dealers=b"\3\0")), "empty byte"),
        (pb.ServerMessage(dealer_list=pb.DealerList(dealers=bytes(3))), "3 bytes, at most 2"),
        (pb.ServerMessage(upload_list=pb.UploadList(proof=bytes(33))), "words of 32"),
        (pb.ServerMessage(key_list=pb.KeyList(proof=bytes(13 * 32))), "at most 384"),
        (
            pb.ServerMessage(key_list=pb.KeyList(commitments=[pb.ClientDigest(digest=bytes(31))])),
            "commitment: 31 bytes, 32",
        ),
        (
            pb.ServerMessage(
                consistency_list=pb.ConsistencyList(
                    signatures=[pb.ClientSignature(client=0, signature=bytes(65))]
                )
            ),
            "65 bytes, 64",
        ),
        (
            pb.ServerMessage(
                randomness_list=pb.RandomnessList(
                    randomness=[pb.ClientRandomness(client=0, randomness=bytes(31))]
                )
            ),
            "randomness: 31 bytes, 32",
        ),
        (
            pb.ServerMessage(
                randomness_list=pb.RandomnessList(
                    randomness=[
                        pb.ClientRandomness(client=4, randomness=bytes(32)),
                        pb.ClientRandomness(client=3, randomness=bytes(32)),
                    ]
                )
            ),
            "order",
        ),
        (
            pb.ServerMessage(
                accepted_set=pb.AcceptedSet(
                    accepted=b"\2", signatures=[pb.ClientSignature(client=1, signature=bytes(1))]
                )
            ),
            "1 bytes, 64",
        ),
        (
            pb.ServerMessage(
                share_delivery=pb.ShareDelivery(
                    envelopes=[
                        pb.EnvelopeEntry(ciphertext=bytes(261), commitments=bytes(160), dealer=1)
                    ]
                )
            ),
            "envelope: 261 bytes, 163 expected",  # version 1: five shares
        ),
        (
            pb.ClientMessage(
                dealt_shares=pb.DealtShares(
                    entries=[pb.DealtEntry(holder=1, commitments=bytes(160))]
                )
            ),
            "160 bytes, 96 expected",
        ),
    ],
)
def test_fields_of_the_wrong_size_or_order_are_refused(
    wire: pb.ClientMessage | pb.ServerMessage, says: str
) -> None:
    kind = Kind[str(wire.WhichOneof("message")).upper()]
    decode = codec.decode_client if isinstance(wire, pb.ClientMessage) else codec.decode_server
    with pytest.raises(WireError, match=says):
        decode(kind, wire.SerializeToString(), LIMITS)


def test_a_message_under_another_name_is_refused() -> None:
    body = codec.encode_client(m.Agreement(bytes(64)))
    with pytest.raises(WireError, match="announced as withdraw"):
        codec.decode_client(Kind.WITHDRAW, body, LIMITS)


def test_a_body_is_one_message() -> None:
    """Protobuf takes the last of several, and what nobody knows, too."""
    body = codec.encode_client(m.Agreement(bytes(64)))
    unknown = fields.embedded(99, b"")
    for wrong in (body + body, body + unknown, unknown + body, body[:-1], body[:1], b"\x42\xff"):
        with pytest.raises(WireError):
            codec.decode_client(Kind.AGREEMENT, wrong, LIMITS)


@pytest.mark.parametrize("kind", [Kind.CROSS_MASKS, Kind.UPLOAD])
@pytest.mark.parametrize("inside", ["cross_masks", "dealt_shares", "upload"])
def test_entries_without_end_are_refused_before_they_are_parsed(kind: Kind, inside: str) -> None:
    """An entry of two bytes becomes an object of fifty: an upload's 40 MB would be 1.3 GB."""

    entries = b"\x0a\x00" * 40_000
    body = fields.embedded(pb.ClientMessage.DESCRIPTOR.fields_by_name[inside].number, entries)
    with pytest.raises(WireError, match=r"announced as|more than"):
        codec.decode_client(kind, body, Limits(20, 20_000, 1000))


@pytest.mark.parametrize("kind", Kind)
def test_size_is_bounded_before_parsing(kind: Kind) -> None:
    LIMITS.check_size(kind, LIMITS.largest(kind))
    with pytest.raises(WireError, match="at most"):
        LIMITS.check_size(kind, LIMITS.largest(kind) + 1)
    with pytest.raises(WireError, match="at most"):
        LIMITS.check_size(kind, 0)


def test_unknown_enum_values_are_refused() -> None:
    wire = pb.ClientMessage(withdraw=pb.Withdraw())
    wire.withdraw.reason = 999
    with pytest.raises(WireError, match="refusal 999"):
        codec.decode_client(Kind.WITHDRAW, wire.SerializeToString(), LIMITS)
    with pytest.raises(WireError, match="refusal 0"):
        codec.decode_client(
            Kind.WITHDRAW, pb.ClientMessage(withdraw=pb.Withdraw()).SerializeToString(), LIMITS
        )
