"""What is held of uploads whose streams broke off: whose, where, how much, how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from auror_server import parts
from auror_server.parts import Parts
from peers import BODY, DIM, FRAMES, LIMITS, ONE, ROUND, THREE, TWO

from auror.ids import ClientId
from auror.wire.frames import Assembler, Begun, Body, client_frames
from auror.wire.limits import CHUNK_BYTES, Kind
from auror.wire.v1 import transport_pb2 as pb


def part_of(
    assembler: Assembler, chunks: int = 2, kind: Kind = Kind.UPLOAD, counter: int = 7
) -> None:
    limits = replace(LIMITS, statistics=DIM)
    header = next(client_frames(replace(ROUND, counter=counter), kind, BODY))
    assembler.header(pb.ClientFrame.FromString(header).header, limits)
    for frame in FRAMES[1 : 1 + chunks]:
        assembler.chunk(frame.chunk)


def in_upload_phase() -> Parts:
    found = Parts()
    found.upload_phase(ROUND, len(BODY))
    return found


@pytest.mark.parametrize(
    "unwanted",
    [{"chunks": 0}, {"kind": Kind.MASKED_STATISTICS}, {"counter": 6}],
)
def test_only_uploads_of_the_round_are_kept(unwanted: dict[str, Any]) -> None:
    held, assembler = in_upload_phase(), Assembler(from_client=True)
    part_of(assembler, **unwanted)
    held.breaks_off(ONE, assembler)
    assert goes_on(held, ONE) is None


def goes_on(held: Parts, client: ClientId) -> Begun | None:
    return held.goes_on(client, None, Assembler(from_client=True))


def broken_off(held: Parts, client: ClientId, spool: Path, chunks: int = 2) -> None:
    assembler = Assembler(from_client=True, spool=spool)
    held.goes_on(client, None, assembler)
    part_of(assembler, chunks)
    held.breaks_off(client, assembler)


@pytest.mark.parametrize(
    ("waiting_bytes", "uploads"), [(4 * CHUNK_BYTES, 0), (0, 4 * CHUNK_BYTES / len(BODY) + 0.01)]
)
def test_what_waits_is_bounded_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting_bytes: int, uploads: float
) -> None:
    monkeypatch.setattr(parts, "WAITING_BYTES", waiting_bytes)
    monkeypatch.setattr(parts, "WAITING_UPLOADS", uploads)
    held = in_upload_phase()
    broken_off(held, ONE, tmp_path)
    broken_off(held, TWO, tmp_path)
    broken_off(held, ONE, tmp_path)  # its second one takes the place of its first
    bodies = list(held._waiting.values())
    assert [body.got for body in bodies] == [2 * CHUNK_BYTES] * 2
    broken_off(held, THREE, tmp_path, chunks=1)
    assert goes_on(held, TWO) is None
    assert closed(bodies[0])
    for client in (ONE, THREE):
        assert goes_on(held, client) is not None


def closed(body: Body) -> bool:
    return bool(body._content.closed)


def test_what_waits_is_on_disk_and_forgotten_where_the_disk_does_not_take_it(
    tmp_path: Path,
) -> None:
    held = in_upload_phase()
    broken_off(held, ONE, tmp_path)
    (body,) = held._waiting.values()
    assert body._content.name is not None  # of memory it is
    with pytest.raises(OSError, match="away"):
        broken_off(held, TWO, tmp_path / "away")
    assert goes_on(held, TWO) is None
    held.over()
    assert closed(body)


def test_what_is_handed_from_stream_to_stream_is_forgotten_when_a_new_one_begins(
    tmp_path: Path,
) -> None:
    held, assembler = in_upload_phase(), Assembler(from_client=True)
    broken_off(held, ONE, tmp_path)
    (body,) = held._waiting.values()
    assert held.goes_on(ONE, None, assembler) is not None
    assert not held._waiting  # nothing is held twice
    part_of(assembler)
    assert closed(body)
