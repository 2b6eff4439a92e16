"""Cutting messages into frames and putting them together again.

A header announces kind, size, digest and round; the bound of the kind is checked before a byte of
the body is kept, the digest when the last one is in.
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


def client_frames(round_id: RoundId, kind: Kind, body: bytes) -> Iterator[bytes]:
    """Serialised ``ClientFrame``s that carry ``body``."""
    yield pb.ClientFrame(header=_header(round_id, kind, body)).SerializeToString()
    for chunk in _chunks(body):
        yield pb.ClientFrame(chunk=chunk).SerializeToString()


def server_frames(round_id: RoundId, kind: Kind, body: bytes) -> Iterator[bytes]:
    """Serialised ``ServerFrame``s that carry ``body``."""
    yield pb.ServerFrame(header=_header(round_id, kind, body)).SerializeToString()
    for chunk in _chunks(body):
        yield pb.ServerFrame(chunk=chunk).SerializeToString()


class Assembler:
    """Puts the frames of one peer together, one message at a time."""

    def __init__(self, from_client: bool, spool: Path | None = None) -> None:
        """``spool``: folder for bodies above 1 MiB; None keeps everything in memory."""
        self._from_client = from_client
        self._spool = spool
        self._open: Announcement | None = None
        self._body: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._got = 0

    def header(self, wire: pb.Header, limits: Limits) -> None:
        """Begin a message.

        Raises:
            WireError: the one before is not complete, or no such message can exist.
        """
        if self._open is not None:
            raise WireError("header inside a message")
        envelope = _parse_header(wire)
        if envelope.kind.from_client is not self._from_client:
            raise WireError(f"{envelope.kind.field} comes from the other side")
        limits.check_size(envelope.kind, envelope.size)
        self._open, self._got, self._hash = envelope, 0, hashlib.sha256()
        self._body = tempfile.SpooledTemporaryFile(  # noqa: SIM115 closed by Received or close()
            max_size=_SPOOL_ABOVE_BYTES if self._spool else 0,
            dir=None if self._spool is None else str(self._spool),
        )

    def chunk(self, data: bytes) -> Received | None:
        """Take the next piece; the message when it was the last one.

        Raises:
            WireError: more bytes than announced, an empty or too large chunk, a wrong digest.
        """
        if self._open is None or self._body is None:
            raise WireError("chunk without a header")
        if not 0 < len(data) <= CHUNK_BYTES:
            raise WireError(f"chunk of {len(data)} bytes, 1 … {CHUNK_BYTES} allowed")
        self._got += len(data)
        if self._got > self._open.size:
            raise WireError(f"{self._got} bytes, {self._open.size} announced")
        self._hash.update(data)
        self._body.write(data)
        if self._got < self._open.size:
            return None
        if self._hash.digest() != self._open.sha256:
            raise WireError(f"{self._open.kind.field}: digest does not match")
        self._body.seek(0)
        received = Received(self._open, self._body)
        self._open = self._body = None
        return received

    def close(self) -> None:
        """Forget a message that was begun."""
        if self._body is not None:
            self._body.close()
        self._open = self._body = None


def _header(round_id: RoundId, kind: Kind, body: bytes) -> pb.Header:
    return pb.Header(
        kind=kind.value,
        size=len(body),
        sha256=hashlib.sha256(body).digest(),
        round_counter=round_id.counter,
        round_nonce=round_id.nonce,
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


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]
