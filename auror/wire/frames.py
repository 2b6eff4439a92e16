"""Cutting messages into frames and putting them together again.

A header announces kind, size, digest and round; the bound of the kind is checked before a byte of
the body is kept, the digest when the last one is in. A body that fits a chunk is in its header's
frame. A larger one follows in chunks, all full but the last, and what came of it over one stream
may be gone on with over another (ADR 0028).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from auror.ids import ROUND_NONCE_BYTES, Digest, RoundId
from auror.wire import fields
from auror.wire.fields import WireError
from auror.wire.limits import CHUNK_BYTES, Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

MAX_FRAME_BYTES = CHUNK_BYTES + 1024
_SPOOL_ABOVE_BYTES = 1 << 20


@dataclass(frozen=True)
class Announcement:
    """What a header announces."""

    kind: Kind
    size: int
    sha256: Digest
    round_id: RoundId


@dataclass(frozen=True)
class Begun:
    """How far a body came over streams that broke off."""

    sha256: Digest
    """Of the whole body."""
    offset: int
    """Bytes that have come, at least 1."""


@dataclass(frozen=True)
class Received:
    """A whole message, digest checked, not yet decoded; to be closed, or read once."""

    envelope: Announcement
    content: IO[bytes]

    def read(self) -> bytes:
        """The body."""
        with self.content:
            return self.content.read()

    def close(self) -> None:
        """Forget the body."""
        self.content.close()


def client_frames(
    round_id: RoundId, kind: Kind, body: bytes, begun: Begun | None = None
) -> Iterator[bytes]:
    """Serialised ``ClientFrame``s that carry ``body``, or the rest of it: ``begun`` is what the
    stream's welcome named."""
    header = _header(round_id, kind, body)
    if begun is not None and begun.sha256 == header.sha256 and not header.body:
        header.offset = begun.offset if begun.offset < len(body) else 0
    yield pb.ClientFrame(header=header).SerializeToString()
    for chunk in _chunks(body, header.offset):
        yield pb.ClientFrame(chunk=chunk).SerializeToString()


def server_frames(round_id: RoundId, kind: Kind, body: bytes) -> Iterator[bytes]:
    """Serialised ``ServerFrame``s that carry ``body``."""
    yield pb.ServerFrame(header=_header(round_id, kind, body)).SerializeToString()
    for chunk in _chunks(body):
        yield pb.ServerFrame(chunk=chunk).SerializeToString()


class Body:
    """A body of which not every byte has come."""

    def __init__(self, announcement: Announcement, spool: Path | None) -> None:
        """``spool``: folder for what is above 1 MiB; None keeps everything in memory."""
        self.announcement = announcement
        self.got = 0
        """Bytes that have come."""
        self._hash = hashlib.sha256()
        self._content = tempfile.SpooledTemporaryFile(  # noqa: SIM115 closed by Received or close()
            max_size=_SPOOL_ABOVE_BYTES if spool else 0,
            dir=None if spool is None else str(spool),
        )

    @property
    def begun(self) -> Begun:
        """How far it has come."""
        return Begun(self.announcement.sha256, self.got)

    def add(self, data: bytes) -> Received | None:
        """Take the next chunk; the message when it was the last one.

        Raises:
            WireError: another size than the chunk that is due, a wrong digest.
        """
        due = min(CHUNK_BYTES, self.announcement.size - self.got)
        if len(data) != due:
            raise WireError(f"chunk of {len(data)} bytes, {due} are due")
        self.got += due
        self._hash.update(data)
        self._content.write(data)
        if self.got < self.announcement.size:
            return None
        if self._hash.digest() != self.announcement.sha256:
            raise WireError(f"{self.announcement.kind.field}: digest does not match")
        self._content.seek(0)
        return Received(self.announcement, self._content)

    def to_disk(self) -> None:
        """Hold no memory. Raises OSError when the disk does not take it."""
        self._content.rollover()

    def close(self) -> None:
        """Forget it."""
        self._content.close()


class Assembler:
    """Puts the frames of one peer together, one message at a time."""

    def __init__(self, from_client: bool, spool: Path | None = None) -> None:
        """``spool``: folder for bodies above 1 MiB; None keeps everything in memory."""
        self._from_client = from_client
        self._spool = spool
        self._open: Body | None = None
        self._held: Body | None = None
        self.is_over = False
        """It has handed over what it had, and takes nothing more."""

    def hold(self, part: Body) -> None:
        """A header may go on with ``part``, which came over another stream."""
        self._held = part

    def hand_over(self) -> Body | None:
        """What is under way, or held and not gone on with; another stream may go on with it."""
        part, self._open, self._held = self._open or self._held, None, None
        self.is_over = True
        return part

    def frame(self, frame: pb.ClientFrame | pb.ServerFrame, limits: Limits) -> Received | None:
        """Take a header or a chunk; the message when it is complete. Raises as these do."""
        if frame.WhichOneof("frame") == "header":
            return self.header(frame.header, limits)
        return self.chunk(frame.chunk)

    def header(self, wire: pb.Header, limits: Limits) -> Received | None:
        """Begin a message, or go on with the one held; the message when its body came along. An
        upload from its start forgets what is held.

        Raises:
            WireError: the one before is not complete, no such message can exist, or what is held
                is not that far.
            OSError: as for a chunk.
        """
        if self._open is not None:
            raise WireError("header inside a message")
        envelope = _parse_header(wire)
        if envelope.kind.from_client is not self._from_client:
            raise WireError(f"{envelope.kind.field} comes from the other side")
        limits.check_size(envelope.kind, envelope.size)
        if wire.body and (wire.offset or envelope.size > CHUNK_BYTES):
            raise WireError(f"{envelope.kind.field} with a body that comes in chunks")
        if wire.offset:
            part = self._held
            if part is None or (part.announcement, part.got) != (envelope, wire.offset):
                raise WireError(
                    f"{envelope.kind.field} from byte {wire.offset}, which nobody named"
                )
            self._open, self._held = part, None
            return None
        if envelope.kind is Kind.UPLOAD:
            self._forget()
        self._open = Body(envelope, self._spool)
        return None if envelope.size > CHUNK_BYTES else self.chunk(wire.body)

    def chunk(self, data: bytes) -> Received | None:
        """Take the next piece; the message when it was the last one.

        Raises:
            WireError: no message is open, or this is not what is due of it.
            OSError: the disk does not take it; the message is forgotten.
        """
        if self._open is None:
            raise WireError("chunk without a header")
        try:
            received = self._open.add(data)
        except (WireError, OSError):  # the disk may have kept less than the digest knows
            self.close()  # nobody goes on with that
            raise
        if received is not None:
            self._open = None
        return received

    def close(self) -> None:
        """Forget a message that was begun, and what is held."""
        if self._open is not None:
            self._open.close()
        self._open = None
        self._forget()

    def _forget(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = None


def welcome(protocol_version: int, deployment: str, begun: Begun | None) -> pb.Welcome:
    """``begun``: what is held of the client's upload."""
    said = pb.Welcome(protocol_version=protocol_version, deployment=deployment)
    if begun is not None:
        said.begun.sha256, said.begun.offset = begun.sha256, begun.offset
    return said


def begun_of(wire: pb.Welcome) -> Begun | None:
    """What the server holds.

    Raises:
        WireError: no server says that.
    """
    if not wire.HasField("begun"):
        return None
    if not wire.begun.offset:
        raise WireError("an upload that goes on at byte 0")
    return Begun(fields.digest("begun upload", wire.begun.sha256), wire.begun.offset)


def _header(round_id: RoundId, kind: Kind, body: bytes) -> pb.Header:
    return pb.Header(
        kind=kind.value,
        size=len(body),
        sha256=hashlib.sha256(body).digest(),
        round_counter=round_id.counter,
        round_nonce=round_id.nonce,
        body=body if len(body) <= CHUNK_BYTES else b"",
    )


def _parse_header(wire: pb.Header) -> Announcement:
    try:
        kind = Kind(wire.kind)
    except ValueError as error:
        raise WireError(f"unknown message kind {int(wire.kind)}") from error
    nonce = fields.exact("round nonce", wire.round_nonce, ROUND_NONCE_BYTES)
    return Announcement(
        kind, wire.size, fields.digest("body", wire.sha256), RoundId(wire.round_counter, nonce)
    )


def _chunks(body: bytes, offset: int = 0) -> Iterator[bytes]:
    """Of a body that is not in its header."""
    if len(body) <= CHUNK_BYTES:
        return
    for start in range(offset, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]
