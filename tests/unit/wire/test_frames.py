"""Frames: any message comes through whole, and nothing is kept that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auror.ids import Digest, RoundId
from auror.wire.fields import WireError
from auror.wire.frames import (
    Assembler,
    Begun,
    Body,
    Received,
    begun_of,
    client_frames,
    server_frames,
    welcome,
)
from auror.wire.limits import CHUNK_BYTES, Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

LIMITS = Limits(clients=5, dim=300_000, statistics=10)
ROUND = RoundId(4, bytes(range(16)))


def put_together(frames: list[bytes], assembler: Assembler) -> list[Received]:
    found = []
    for raw in frames:
        whole = assembler.frame(pb.ClientFrame.FromString(raw), LIMITS)
        found += [whole] if whole is not None else []
    return found


SIZES = st.integers(1, 900) | st.integers(CHUNK_BYTES - 2, CHUNK_BYTES + 2)


@given(st.lists(SIZES, min_size=1, max_size=4))
def test_messages_come_through(sizes: list[int]) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate(sizes)]
    frames = [raw for body in bodies for raw in client_frames(ROUND, Kind.UPLOAD, body)]
    assert len(frames) == sum(1 if size <= CHUNK_BYTES else 3 for size in sizes)
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
    put_together([next(client_frames(ROUND, Kind.UPLOAD, BODY))], assembler)
    with pytest.raises(WireError, match="header inside"):
        assembler.header(header(), LIMITS)


def test_wrong_bodies_are_refused() -> None:
    for body, says in ((b"y" * 70, "digest"), (b"x" * 71, "70 are due"), (b"", "chunk of 0")):
        assembler = Assembler(from_client=True)
        with pytest.raises(WireError, match=says):
            assembler.header(header(body=body), LIMITS)
        assert assembler.hand_over() is None


def test_a_large_body_is_not_in_its_header() -> None:
    """Nor is the rest of one."""
    first = pb.ClientFrame.FromString(next(client_frames(ROUND, Kind.UPLOAD, BODY))).header
    goes_on = pb.ClientFrame.FromString(
        next(client_frames(ROUND, Kind.UPLOAD, BODY, begun(3).begun))
    ).header
    for wire, body in ((first, BODY[:CHUNK_BYTES]), (first, BODY), (goes_on, BODY[-1:])):
        assembler = Assembler(from_client=True)
        assembler.hold(begun(3))
        wire.body = body
        with pytest.raises(WireError, match="comes in chunks"):
            assembler.header(wire, LIMITS)


def test_both_directions_are_framed_alike() -> None:
    first = pb.ServerFrame.FromString(next(server_frames(ROUND, Kind.ROUND_END, b"abc")))
    assert (first.header.size, first.header.round_counter) == (3, 4)


BODY = bytes(range(251)) * 1000  # 3.8 chunks


def begun(chunks: int, body: bytes = BODY, kind: Kind = Kind.UPLOAD) -> Body:
    """``chunks`` of a message that a stream has handed over."""
    assembler = Assembler(from_client=True)
    put_together(list(client_frames(ROUND, kind, body))[: 1 + chunks], assembler)
    part = assembler.hand_over()
    assert part is not None
    return part


def test_an_upload_goes_on_over_another_stream() -> None:
    part, sent = begun(1), 0
    for _ in range(2):
        frames = list(client_frames(ROUND, Kind.UPLOAD, BODY, part.begun))
        sent += sum(map(len, frames[1:2]))
        assembler = Assembler(from_client=True)
        assembler.hold(part)
        assert put_together(frames[:2], assembler) == []
        again = assembler.hand_over()
        assert again is part
    assembler = Assembler(from_client=True)
    assembler.hold(part)
    (whole,) = put_together(list(client_frames(ROUND, Kind.UPLOAD, BODY, part.begun)), assembler)
    assert whole.read() == BODY
    assert part.begun == Begun(whole.envelope.sha256, len(BODY))


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_digest_is_that_of_the_whole_body(wrong: int) -> None:
    """Whichever stream its wrong byte came over."""
    frames = list(client_frames(ROUND, Kind.UPLOAD, BODY))
    frames[1 + wrong] = frames[1 + wrong][:-1] + b"!"
    first, second = Assembler(from_client=True), Assembler(from_client=True)
    put_together(frames[:2], first)
    part = first.hand_over()
    assert part is not None
    second.hold(part)
    goes_on = next(client_frames(ROUND, Kind.UPLOAD, BODY, part.begun))
    with pytest.raises(WireError, match="digest does not match"):
        put_together([goes_on, *frames[2:]], second)
    assert second.hand_over() is None  # nobody goes on with it


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": CHUNK_BYTES + 1},
        {"offset": 2 * CHUNK_BYTES},
        {"sha256": bytes(32)},
        {"size": len(BODY) - 1},
        {"round_counter": 5},
        {"kind": Kind.MASKED_STATISTICS.value, "size": 70},
    ],
)
def test_an_offset_that_nobody_named_is_refused(changes: dict[str, object]) -> None:
    frame = pb.ClientFrame.FromString(next(client_frames(ROUND, Kind.UPLOAD, BODY, begun(1).begun)))
    with pytest.raises(WireError, match="nobody named"):  # to a stream that was told of nothing
        Assembler(from_client=True).header(frame.header, LIMITS)
    for name, value in changes.items():
        setattr(frame.header, name, value)
    assembler = Assembler(from_client=True)
    assembler.hold(begun(1))
    with pytest.raises(WireError, match="nobody named"):
        assembler.header(frame.header, LIMITS)


def test_what_was_gone_on_with_or_begun_anew_is_named_no_more() -> None:
    part = begun(1)
    first, *chunks = client_frames(ROUND, Kind.UPLOAD, BODY, part.begun)
    assembler = Assembler(from_client=True)
    assembler.hold(part)
    assert len(put_together([first, *chunks], assembler)) == 1
    whole = pb.ClientFrame.FromString(first).header
    whole.offset = len(BODY)  # how far it has come by now
    with pytest.raises(WireError, match="nobody named"):
        assembler.header(whole, LIMITS)
    assembler = Assembler(from_client=True)
    assembler.hold(begun(1))
    put_together(list(client_frames(ROUND, Kind.AGREEMENT, b"other")), assembler)
    assert assembler._held is not None
    put_together(list(client_frames(ROUND, Kind.UPLOAD, BODY)), assembler)
    assert assembler.hand_over() is None
    with pytest.raises(WireError, match="nobody named"):
        put_together([first], assembler)


def test_what_was_handed_over_outlives_its_stream() -> None:
    first, second = Assembler(from_client=True), Assembler(from_client=True)
    frames = list(client_frames(ROUND, Kind.UPLOAD, BODY))
    put_together(frames[:2], first)
    part = first.hand_over()
    assert part is not None
    second.hold(part)
    first.close()
    assert first.hand_over() is None
    (whole,) = put_together(list(client_frames(ROUND, Kind.UPLOAD, BODY, part.begun)), second)
    assert whole.read() == BODY


def test_all_chunks_but_the_last_are_full() -> None:
    assembler = Assembler(from_client=True)
    put_together(list(client_frames(ROUND, Kind.UPLOAD, BODY))[:2], assembler)
    with pytest.raises(WireError, match=f"chunk of 1 bytes, {CHUNK_BYTES} are due"):
        assembler.chunk(b"x")


def test_a_client_goes_on_only_with_what_is_its_body() -> None:
    whole = list(client_frames(ROUND, Kind.UPLOAD, BODY))
    own = begun(1).begun
    for other in (None, Begun(begun(1, BODY[1:]).begun.sha256, CHUNK_BYTES),
                  Begun(own.sha256, len(BODY))):  # fmt: skip
        assert list(client_frames(ROUND, Kind.UPLOAD, BODY, other)) == whole
    assert list(client_frames(ROUND, Kind.UPLOAD, BODY, own))[1:] == whole[2:]
    small = pb.ClientFrame.FromString(next(client_frames(ROUND, Kind.UPLOAD, b"small"))).header
    named = Begun(Digest(bytes(small.sha256)), 1)  # by a server that holds no such thing
    (only,) = client_frames(ROUND, Kind.UPLOAD, b"small", named)
    assert pb.ClientFrame.FromString(only).header == small


def test_a_welcome_says_what_is_held() -> None:
    own = begun(2).begun
    assert begun_of(welcome(4, "d", own)) == own
    assert begun_of(welcome(4, "d", None)) is None
    for wrong in (Begun(own.sha256, 0), Begun(own.sha256[:-1], 1)):  # type: ignore[arg-type]
        with pytest.raises(WireError):
            begun_of(welcome(4, "d", wrong))


@pytest.mark.parametrize("last", [False, True])
def test_what_the_disk_did_not_take_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    """Its digest would be right, and the body without the piece that was lost."""
    body = bytes(range(256)) * 600
    frames = [pb.ClientFrame.FromString(one) for one in client_frames(ROUND, Kind.UPLOAD, body)]
    assembler = Assembler(from_client=True)
    assembler.header(frames[0].header, LIMITS)
    for frame in frames[1 : -1 if last else 2]:
        assembler.chunk(frame.chunk)
    assert assembler._open is not None

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(assembler._open._content, "seek" if last else "write", full)
    with pytest.raises(OSError, match="No space left"):
        assembler.chunk(frames[-1 if last else 2].chunk)
    assert assembler.hand_over() is None
