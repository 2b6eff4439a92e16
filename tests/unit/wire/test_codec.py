"""The codec: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from codec_kit import LIMITS, start
from hypothesis import given, settings
from hypothesis import strategies as st
from script_kit import load_script

from auror.errors import AbortReason, Refusal
from auror.ids import ClientId, Digest
from auror.params import Floors
from auror.round import messages as m
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.sharing import Share
from auror.wire import codec
from auror.wire.exclusion import MAX_CLASS, MAX_ROUNDS
from auror.wire.fields import WireError
from auror.wire.limits import Kind, ModelTooLarge
from auror.wire.v1 import round_pb2 as pb

ROOT = Path(__file__).resolve().parents[3]

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
proofs = st.lists(digests, max_size=LIMITS.clients).map(tuple)
envelopes = st.builds(m.Envelope, envelope_bytes, rows_of_three)
from_server: dict[type, st.SearchStrategy[m.ServerMessage]] = {
    m.KeyList: st.builds(
        m.KeyList, client_sets, st.dictionaries(ids, keys), st.dictionaries(ids, digests), proofs
    ),
    m.ShareDelivery: st.builds(m.ShareDelivery, client_sets, st.dictionaries(ids, envelopes)),
    m.DealerList: st.builds(m.DealerList, client_sets),
    m.UploadList: st.builds(m.UploadList, client_sets, proofs),
    m.ConsistencyList: st.builds(m.ConsistencyList, st.dictionaries(ids, signatures)),
    m.RandomnessList: st.builds(
        m.RandomnessList, st.dictionaries(ids, digests), st.dictionaries(ids, keys), proofs
    ),
    m.AcceptedSet: st.builds(m.AcceptedSet, client_sets, st.dictionaries(ids, signatures)),
    m.AgreementList: st.builds(m.AgreementList, st.dictionaries(ids, signatures)),
    m.BindingFailed: st.just(m.BindingFailed()),
    m.Exclusion: st.builds(
        m.Exclusion,
        st.sampled_from(m.ExclusionCause),
        st.none() | st.integers(0, MAX_CLASS - 1),
        st.none() | st.integers(0, MAX_CLASS - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.integers(0, MAX_ROUNDS),
        st.integers(0, MAX_ROUNDS),
    ),
    m.NewPolicy: st.builds(m.NewPolicy, st.binary()),
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
    between = {m.Exclusion, m.NewPolicy}
    assert from_server.keys() == set(get_args(m.ServerMessage)) - {m.RoundStart} | between
    with_models = {m.RoundStart, m.FinalModel}  # have their own
    assert from_clients.keys() | from_server.keys() | with_models == codec._KINDS.keys()
    assert set(codec._KINDS.values()) == set(Kind)


@given(client_messages)
@settings(max_examples=200)
def test_client_messages_come_back(message: m.ClientMessage) -> None:
    body = codec.encode_client(message)
    assert codec.decode_client(codec.kind_of(message), body, LIMITS) == message
    assert len(body) <= LIMITS.largest(codec.kind_of(message))


@given(server_messages)
@settings(max_examples=200)
def test_server_messages_come_back(message: m.ServerMessage) -> None:
    body = codec.encode_server(message)
    assert codec.decode_server(codec.kind_of(message), body, LIMITS) == message
    assert len(body) <= LIMITS.largest(codec.kind_of(message))


@given(st.sampled_from(Kind), st.binary(max_size=400))
@settings(max_examples=400)
def test_garbage_is_refused(kind: Kind, body: bytes) -> None:
    decode = codec.decode_client if kind.from_client else codec.decode_server
    try:
        message = decode(kind, body, LIMITS)
    except WireError:
        return
    # the few byte strings that are messages stay messages
    assert codec.kind_of(message) is kind


@given(client_messages | server_messages, st.data())
@settings(max_examples=400)
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


def test_round_start_comes_back() -> None:
    sent = start()
    got = codec.decode_server(Kind.ROUND_START, codec.encode_server(sent), LIMITS)
    assert isinstance(got, m.RoundStart)
    assert got.description == sent.description
    assert got.plan == sent.plan
    assert got.description.transcript() == sent.description.transcript()
    assert got.model.tobytes() == sent.model.tobytes()


def test_generated_code_is_what_the_sources_give(tmp_path: Path) -> None:
    load_script("scripts/gen_proto.py").generate(tmp_path)
    made = sorted(tmp_path.rglob("*_pb2.py*"))
    assert len(made) == 4
    for path in made:
        committed = ROOT / path.relative_to(tmp_path)
        assert _without_version(path.read_text()) == _without_version(committed.read_text())


def _without_version(generated: str) -> str:
    """The installed generator may be newer than the one that made the committed files."""
    text = re.sub(r"# Protobuf Python Version: .*", "", generated)
    return re.sub(r"Domain\.PUBLIC,\s+\d+,\s+\d+,\s+\d+,", "", text)


def test_the_final_model_comes_back() -> None:
    values = np.array([1.5, -0.0, 3e-8, np.inf], dtype=np.float32)
    digest = [Digest(bytes([k]) * 32) for k in range(3)]
    final = m.FinalModel(digest[0], 1, 7, digest[1], digest[2], values)
    body = codec.encode_server(final)
    back = codec.decode_server(Kind.FINAL_MODEL, body, LIMITS)
    assert isinstance(back, m.FinalModel)
    assert back.model.tobytes() == values.tobytes()
    facts = [(f.name, getattr(final, f.name)) for f in fields(final) if f.name != "model"]
    assert [(name, getattr(back, name)) for name, _ in facts] == facts
    largest = replace(final, model=np.ones(LIMITS.dim, dtype=np.float32))
    assert len(codec.encode_server(largest)) <= LIMITS.largest(Kind.FINAL_MODEL)


def test_a_final_model_of_another_size_is_refused() -> None:
    digest = Digest(bytes(32))
    final = m.FinalModel(digest, 0, 1, digest, digest, np.ones(LIMITS.dim + 1, dtype=np.float32))
    with pytest.raises(WireError, match=r"model: .* at most"):
        codec.decode_server(Kind.FINAL_MODEL, codec.encode_server(final), LIMITS)
    wire = pb.ServerMessage(final_model=pb.FinalModel(model=bytes(7)))
    with pytest.raises(WireError, match="7 bytes are not words of 4"):
        codec.decode_server(Kind.FINAL_MODEL, wire.SerializeToString(), LIMITS)
    with pytest.raises(ModelTooLarge):
        LIMITS.check_size(Kind.FINAL_MODEL, LIMITS.largest(Kind.FINAL_MODEL) + 1)


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (pb.Exclusion(), "unknown cause of an exclusion 0"),
        (pb.Exclusion(cause=9), "unknown cause of an exclusion 9"),
        (pb.Exclusion(cause=1, source=MAX_CLASS), f"class: {MAX_CLASS} is outside 0"),
        (pb.Exclusion(cause=1, target=2**32 - 1), "class: 4294967295 is outside 0"),
        (pb.Exclusion(cause=1, strength=float("nan")), "a number that is not finite"),
        (pb.Exclusion(cause=1, required=float("inf")), "a number that is not finite"),
        (pb.Exclusion(cause=1, rounds=2**32 - 1), "rounds: 4294967295 is outside"),
        (pb.Exclusion(cause=1, audits=2**32 - 1), "audits: 4294967295 is outside"),
    ],
)
def test_an_exclusion_holds_numbers_in_their_ranges_and_no_text(
    wire: pb.Exclusion, says: str
) -> None:
    body = pb.ServerMessage(exclusion=wire).SerializeToString()
    with pytest.raises(WireError, match=says):
        codec.decode_server(Kind.EXCLUSION, body, LIMITS)
