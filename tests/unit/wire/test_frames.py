"""Frames: any message comes through whole, and nothing is kept that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auror.ids import RoundId
from auror.wire.fields import WireError
from auror.wire.frames import Assembler, Received, client_frames, server_frames
from auror.wire.limits import CHUNK_BYTES, Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

LIMITS = Limits(clients=5, dim=300_000, statistics=10)
ROUND = RoundId(4, bytes(range(16)))


def put_together(frames: list[bytes], assembler: Assembler) -> list[Received]:
    found = []
    for raw in frames:
        frame = pb.ClientFrame.FromString(raw)
        if frame.WhichOneof("frame") == "header":
            assembler.header(frame.header, LIMITS)
        else:
            whole = assembler.chunk(frame.chunk)
            found += [whole] if whole is not None else []
    return found


@given(st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=4))
def test_messages_come_through(bodies: list[bytes]) -> None:
    frames = [raw for body in bodies for raw in client_frames(ROUND, Kind.UPLOAD, body)]
    found = put_together(frames, Assembler(from_client=True))
    assert [one.read() for one in found] == bodies
    assert all(one.envelope.round_id == ROUND for one in found)


@pytest.mark.parametrize("spooled", [False, True])
def test_a_large_message_is_cut_and_spooled(tmp_path: Path, spooled: bool) -> None:
    body = bytes(range(256)) * 4500  # 1.1 MiB
    frames = list(client_frames(ROUND, Kind.UPLOAD, body))
    assert max(len(frame) for frame in frames) <= CHUNK_BYTES + 64
    assembler = Assembler(from_client=True, spool=tmp_path if spooled else None)
    assert [one.read() for one in put_together(frames, assembler)] == [body]


def header(**changes: object) -> pb.Header:
    frame = pb.ClientFrame.FromString(next(client_frames(ROUND, Kind.AGREEMENT, b"x" * 70)))
    for name, value in changes.items():
        setattr(frame.header, name, value)
    return frame.header


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": 77}, "unknown message kind 77"),
        ({"kind": Kind.ROUND_START.value}, "from the other side"),
        ({"size": 10**9}, "at most"),
        ({"size": 0}, "at most"),
        ({"sha256": b"short"}, "body: 5 bytes"),
        ({"round_nonce": b""}, "round nonce"),
    ],
)
def test_impossible_headers_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(WireError, match=says):
        Assembler(from_client=True).header(header(**changes), LIMITS)


def test_frames_out_of_order_are_refused() -> None:
    assembler = Assembler(from_client=True)
    with pytest.raises(WireError, match="without a header"):
        assembler.chunk(b"x")
    assembler.header(header(), LIMITS)
    with pytest.raises(WireError, match="header inside"):
        assembler.header(header(), LIMITS)


def test_wrong_bodies_are_refused() -> None:
    for chunk, says in ((b"y" * 70, "digest"), (b"x" * 71, "announced"), (b"", "chunk of 0")):
        assembler = Assembler(from_client=True)
        assembler.header(header(), LIMITS)
        with pytest.raises(WireError, match=says):
            assembler.chunk(chunk)


def test_both_directions_are_framed_alike() -> None:
    first = pb.ServerFrame.FromString(next(server_frames(ROUND, Kind.ROUND_END, b"abc")))
    assert (first.header.size, first.header.round_counter) == (3, 4)
