"""The codec: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auror.errors import AbortReason, Refusal
from auror.ids import ClientId, Digest, RoundId
from auror.params import Floors
from auror.round import messages as m
from auror.round.description import RoundDescription
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.sharing import Share
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import round_pb2 as pb

ROOT = Path(__file__).resolve().parents[3]
LIMITS = Limits(clients=12, dim=50, statistics=80)

ids = st.integers(0, LIMITS.clients - 1).map(ClientId)
digests = st.binary(min_size=32, max_size=32).map(Digest)
signatures = st.binary(min_size=64, max_size=64)
shares = st.binary(min_size=49, max_size=49).map(Share.from_bytes)
client_sets = st.sets(ids).map(lambda found: tuple(sorted(found)))
rows_of_three = st.tuples(*[digests] * 3)
envelope_bytes = st.binary(min_size=163, max_size=163)
"""Three shares of 49 bytes and the tag."""


@st.composite
def opened(draw: st.DrawFn) -> OpenedShares:
    split = draw(st.dictionaries(ids, st.tuples(st.booleans(), shares)))
    return OpenedShares(
        {client: share for client, (own, share) in split.items() if own},
        {client: share for client, (own, share) in split.items() if not own},
    )


@st.composite
def dealt(draw: st.DrawFn) -> m.DealtShares:
    rows = draw(st.dictionaries(ids, rows_of_three))
    sealed = {client: draw(envelope_bytes) for client in rows if draw(st.booleans())}
    return m.DealtShares(sealed, rows, draw(rows_of_three), draw(signatures))


floors = st.builds(Floors, *[st.integers(0, 2**32 - 1)] * 3)
keys = st.builds(m.AdvertisedKeys, digests, digests, digests, digests, signatures, floors)
from_clients: dict[type, st.SearchStrategy[m.ClientMessage]] = {
    m.AdvertisedKeys: keys,
    m.DealtShares: dealt(),
    m.Receipt: st.builds(m.Receipt, client_sets, signatures),
    m.Upload: st.builds(
        m.Upload,
        st.integers(0, LIMITS.dim).flatmap(
            lambda words: st.binary(min_size=4 * words, max_size=4 * words)
        ),
        digests,
    ),
    m.Consistency: st.builds(m.Consistency, signatures),
    m.RandomnessShares: st.builds(m.RandomnessShares, st.dictionaries(ids, shares)),
    m.MaskedStatistics: st.builds(
        m.MaskedStatistics,
        st.integers(0, 8).flatmap(lambda words: st.binary(min_size=8 * words, max_size=8 * words)),
        signatures,
    ),
    m.Agreement: st.builds(m.Agreement, signatures),
    m.UpdateShares: st.builds(m.UpdateShares, opened()),
    m.CrossMasks: st.builds(
        m.CrossMasks, st.dictionaries(ids, st.binary(max_size=4 * LIMITS.statistics))
    ),
    m.Withdraw: st.builds(m.Withdraw, st.sampled_from(Refusal)),
}
envelopes = st.builds(m.Envelope, envelope_bytes, rows_of_three)
from_server: dict[type, st.SearchStrategy[m.ServerMessage]] = {
    m.KeyList: st.builds(m.KeyList, st.dictionaries(ids, keys)),
    m.ShareDelivery: st.builds(m.ShareDelivery, client_sets, st.dictionaries(ids, envelopes)),
    m.DealerList: st.builds(m.DealerList, client_sets),
    m.UploadList: st.builds(m.UploadList, st.dictionaries(ids, digests)),
    m.ConsistencyList: st.builds(m.ConsistencyList, st.dictionaries(ids, signatures)),
    m.RandomnessList: st.builds(m.RandomnessList, st.dictionaries(ids, digests)),
    m.AcceptedSet: st.builds(m.AcceptedSet, client_sets, st.dictionaries(ids, signatures)),
    m.AgreementList: st.builds(m.AgreementList, st.dictionaries(ids, signatures)),
    m.BindingFailed: st.just(m.BindingFailed()),
    m.RoundEnd: st.builds(
        m.RoundEnd,
        digests,
        st.none() | st.sampled_from(AbortReason),
        client_sets,
        client_sets,
        client_sets,
        client_sets,
    ),
}
client_messages = st.one_of(*from_clients.values())
server_messages = st.one_of(*from_server.values())


def test_every_message_of_the_protocol_is_drawn() -> None:
    assert from_clients.keys() == set(get_args(m.ClientMessage))
    assert from_server.keys() == set(get_args(m.ServerMessage)) - {m.RoundStart}  # has its own
    assert from_clients.keys() | from_server.keys() | {m.RoundStart} == codec._KINDS.keys()
    assert set(codec._KINDS.values()) == set(Kind)


@given(client_messages)
@settings(max_examples=200, deadline=None)
def test_client_messages_come_back(message: m.ClientMessage) -> None:
    body = codec.encode_client(message)
    assert codec.decode_client(codec.kind_of(message), body, LIMITS) == message
    assert len(body) <= LIMITS.largest(codec.kind_of(message))


@given(server_messages)
@settings(max_examples=200, deadline=None)
def test_server_messages_come_back(message: m.ServerMessage) -> None:
    body = codec.encode_server(message)
    assert codec.decode_server(codec.kind_of(message), body, LIMITS) == message
    assert len(body) <= LIMITS.largest(codec.kind_of(message))


@given(st.sampled_from(Kind), st.binary(max_size=400))
@settings(max_examples=400, deadline=None)
def test_garbage_is_refused(kind: Kind, body: bytes) -> None:
    decode = codec.decode_client if kind.from_client else codec.decode_server
    try:
        message = decode(kind, body, LIMITS)
    except WireError:
        return
    # the few byte strings that are messages stay messages
    assert codec.kind_of(message) is kind


@given(client_messages | server_messages, st.data())
@settings(max_examples=400, deadline=None)
def test_cut_and_changed_messages_never_raise_anything_else(
    message: m.ClientMessage | m.ServerMessage, data: st.DataObject
) -> None:
    kind = codec.kind_of(message)
    encode, decode = (
        (codec.encode_client, codec.decode_client)
        if kind.from_client
        else (codec.encode_server, codec.decode_server)
    )
    body = bytearray(encode(message))  # type: ignore[operator]
    if data.draw(st.booleans()):
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    else:
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(kind, bytes(body), LIMITS)
    except WireError:
        return  # any other exception fails the test


def start(**changes: object) -> m.RoundStart:
    plan = StatisticsPlan(
        40,
        (
            OutputLayer(30, 10),
            CountSketch(bytes(range(32)), 4, False),
            LabelRows.from_matrix(
                0,
                np.arange(6, dtype=np.int64).reshape(2, 3) - 3,
                -2,
                MeansSource.OUTPUT_WEIGHTS,
            ),
        ),
    )
    description = RoundDescription(
        deployment=bytes(range(16)),
        policy=Digest(bytes([5]) * 32),
        policy_version=3,
        round_id=RoundId(7, bytes(16)),
        attempt=2,
        era=1,
        step=4,
        disputed=True,
        parent=Digest(bytes([6]) * 32),
        model=Digest(bytes([7]) * 32),
        plan=Digest(bytes([8]) * 32),
        cohort=(ClientId(0), ClientId(3), ClientId(11)),
    )
    whole = m.RoundStart(description, plan, np.linspace(-1, 1, 40).astype(np.float32))
    return dataclasses.replace(whole, **changes)


def test_round_start_comes_back() -> None:
    sent = start()
    got = codec.decode_server(Kind.ROUND_START, codec.encode_server(sent), LIMITS)
    assert isinstance(got, m.RoundStart)
    assert got.description == sent.description
    assert got.plan == sent.plan
    assert got.description.transcript() == sent.description.transcript()
    assert got.model.tobytes() == sent.model.tobytes()


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
        m.UploadList({known: digest, unknown: digest}),
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
        (pb.ServerMessage(dealer_list=pb.DealerList(dealers=[3, 2])), "order"),
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
                    accepted=[1], signatures=[pb.ClientSignature(client=1, signature=bytes(1))]
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


def test_generated_code_is_what_the_sources_give(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("gen_proto", ROOT / "scripts" / "gen_proto.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path)
    made = sorted(tmp_path.rglob("*_pb2.py*"))
    assert len(made) == 4
    for path in made:
        committed = ROOT / path.relative_to(tmp_path)
        assert _without_version(path.read_text()) == _without_version(committed.read_text())


def _without_version(generated: str) -> str:
    """The installed generator may be newer than the one that made the committed files."""
    text = re.sub(r"# Protobuf Python Version: .*", "", generated)
    return re.sub(r"Domain\.PUBLIC,\s+\d+,\s+\d+,\s+\d+,", "", text)
