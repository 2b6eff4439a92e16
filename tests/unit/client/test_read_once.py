"""What a server tells all clients of a process alike is read once."""

from __future__ import annotations

import pytest
from auror_client.read_once import ReadOnce

from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import (
    AnyServerMessage,
    DealerList,
    Envelope,
    ShareDelivery,
)
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Assembler, Received, server_frames
from auror.wire.from_client import ENVELOPE_BYTES
from auror.wire.limits import Limits
from auror.wire.v1 import transport_pb2 as pb

LIMITS = Limits(9, 10, 0)


def received(message: AnyServerMessage) -> Received:
    frames = server_frames(
        RoundId(0, bytes(16)), codec.kind_of(message), codec.encode_server(message)
    )
    assembler = Assembler(from_client=False)
    for raw in frames:
        whole = assembler.frame(pb.ServerFrame.FromString(raw), LIMITS)
    assert whole is not None
    return whole


def dealers(*clients: int) -> DealerList:
    return DealerList(tuple(map(ClientId, clients)))


def test_equal_bytes_are_one_value_and_others_are_not() -> None:
    decoded = ReadOnce(2)
    first = decoded.read(received(dealers(1, 2)), LIMITS)
    assert decoded.known(received(dealers(1, 2)), LIMITS) is first
    assert decoded.read(received(dealers(1, 2)), LIMITS) is first
    assert decoded.known(received(dealers(1, 3)), LIMITS) is None
    assert decoded.read(received(dealers(1, 3)), LIMITS) == dealers(1, 3)


def test_tighter_limits_are_looked_at_again() -> None:
    decoded = ReadOnce(2)
    decoded.read(received(dealers(1, 8)), LIMITS)
    tight = Limits(4, 10, 0)
    assert decoded.known(received(dealers(1, 8)), tight) is None
    with pytest.raises(WireError):
        decoded.read(received(dealers(1, 8)), tight)


def test_only_the_newest_are_held_and_a_client_alone_holds_none() -> None:
    decoded, alone = ReadOnce(2), ReadOnce()
    for last in (2, 3, 4):
        decoded.read(received(dealers(1, last)), LIMITS)
        alone.read(received(dealers(1, last)), LIMITS)
    assert decoded.known(received(dealers(1, 2)), LIMITS) is None
    assert decoded.known(received(dealers(1, 4)), LIMITS) == dealers(1, 4)
    assert alone.known(received(dealers(1, 4)), LIMITS) is None


def test_envelopes_of_one_client_are_not_held() -> None:
    decoded = ReadOnce(2)
    rows = {ClientId(1): Envelope(bytes(ENVELOPE_BYTES), (Digest(bytes(32)),) * 3)}
    delivery = ShareDelivery((ClientId(1),), rows)
    assert decoded.read(received(delivery), LIMITS) == delivery
    assert decoded.known(received(delivery), LIMITS) is None
