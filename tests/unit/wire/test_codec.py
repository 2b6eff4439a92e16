"""The codec: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auror.errors import AbortReason, Refusal
from auror.ids import ClientId, Digest, RoundId
from auror.params import RoundParams
from auror.round import messages as m
from auror.round.description import RoundDescription
from auror.round.plan import CountSketch, LabelConfusion, OutputLayer, StatisticsPlan
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
rows_of_five = st.tuples(*[digests] * 5)


@st.composite
def opened(draw: st.DrawFn) -> OpenedShares:
    split = draw(st.dictionaries(ids, st.tuples(st.booleans(), shares)))
    return OpenedShares(
        {client: share for client, (own, share) in split.items() if own},
        {client: share for client, (own, share) in split.items() if not own},
    )


@st.composite
def dealt(draw: st.DrawFn) -> m.DealtShares:
    rows = draw(st.dictionaries(ids, rows_of_five))
    envelope = st.binary(min_size=261, max_size=261)
    sealed = {client: draw(envelope) for client in rows if draw(st.booleans())}
    return m.DealtShares(sealed, rows, draw(rows_of_five), draw(signatures))


keys = st.builds(m.AdvertisedKeys, digests, digests, digests, digests, signatures)
client_messages = st.one_of(
    keys,
    dealt(),
    st.builds(
        m.Upload,
        st.integers(0, LIMITS.dim).flatmap(
            lambda words: st.binary(min_size=4 * words, max_size=4 * words)
        ),
        digests,
        st.dictionaries(ids, shares),
    ),
    st.builds(
        m.MaskedStatistics,
        st.integers(0, 8).flatmap(lambda words: st.binary(min_size=8 * words, max_size=8 * words)),
        signatures,
    ),
    st.builds(m.StatisticsShares, opened()),
    st.builds(m.Agreement, signatures),
    st.builds(m.UpdateShares, opened()),
    st.builds(m.Withdraw, st.sampled_from(Refusal)),
)
envelopes = st.builds(m.Envelope, st.binary(min_size=261, max_size=261), rows_of_five)
server_messages = st.one_of(
    st.builds(m.KeyList, st.dictionaries(ids, keys)),
    st.builds(m.ShareDelivery, client_sets, st.dictionaries(ids, envelopes)),
    st.builds(m.UploadList, st.dictionaries(ids, digests), st.dictionaries(ids, digests)),
    st.builds(m.StatisticsList, st.dictionaries(ids, signatures)),
    st.builds(m.AcceptedSet, client_sets),
    st.builds(m.AgreementList, st.dictionaries(ids, signatures)),
    st.builds(
        m.RoundEnd, digests, st.none() | st.sampled_from(AbortReason), client_sets, client_sets
    ),
)


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


@given(client_messages, st.data())
@settings(max_examples=200, deadline=None)
def test_cut_and_changed_messages_never_raise_anything_else(
    message: m.ClientMessage, data: st.DataObject
) -> None:
    body = bytearray(codec.encode_client(message))
    if data.draw(st.booleans()):
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    else:
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        codec.decode_client(codec.kind_of(message), bytes(body), LIMITS)
    except WireError:
        return  # any other exception fails the test


def start(**changes: object) -> m.RoundStart:
    plan = StatisticsPlan(
        40,
        (
            OutputLayer(30, 10),
            CountSketch(bytes(range(32)), 4, False),
            LabelConfusion.from_matrix(0, np.arange(6, dtype=np.int64).reshape(2, 3) - 3),
        ),
    )
    description = RoundDescription(
        RoundId(7, bytes(16)),
        2,
        "house",
        *(Digest(bytes([byte]) * 32) for byte in range(4)),
        cohort=(ClientId(0), ClientId(3), ClientId(11)),
    )
    whole = m.RoundStart(
        description,
        RoundParams(group_size=3, colluders=1, quantisation_range=0.25),
        b'{"epochs":1}',
        plan,
        np.linspace(-1, 1, 40).astype(np.float32),
    )
    return dataclasses.replace(whole, **changes)


def test_round_start_comes_back() -> None:
    sent = start()
    got = codec.decode_server(Kind.ROUND_START, codec.encode_server(sent), LIMITS)
    assert isinstance(got, m.RoundStart)
    assert got.description == sent.description
    assert got.params == sent.params
    assert (got.task, got.plan) == (sent.task, sent.plan)
    assert got.model.tobytes() == sent.model.tobytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": np.zeros(39, dtype=np.float32)}, "model: 156 bytes"),
        ({"plan": StatisticsPlan(51, ())}, "dim: 51"),
        ({"plan": StatisticsPlan(40, (OutputLayer(39, 2),))}, "does not fit"),
        ({"plan": StatisticsPlan(40, (OutputLayer(0, 40),) * 3)}, "120 rows"),
        ({"plan": StatisticsPlan(40, (OutputLayer(0, 1),) * 17)}, "17 parts"),
        ({"task": bytes(64 * 1024 + 1)}, "task"),
    ],
)
def test_a_round_start_that_does_not_fit_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(WireError, match=re.escape(says)):
        codec.decode_server(Kind.ROUND_START, codec.encode_server(start(**change)), LIMITS)


def test_bad_round_parameters_are_refused() -> None:
    wire = pb.ServerMessage()
    wire.ParseFromString(codec.encode_server(start()))
    wire.round_start.params.quantisation_bits = 60
    with pytest.raises(WireError, match="quantisation_bits"):
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
    body = codec.encode_server(m.AcceptedSet((ClientId(1), ClientId(12))))
    with pytest.raises(WireError, match="client 12"):
        codec.decode_server(Kind.ACCEPTED_SET, body, LIMITS)


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
