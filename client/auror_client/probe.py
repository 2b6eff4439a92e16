"""What a client measures of its link before a start, over the path that its rounds will take.

A call beside the stream of the rounds: it takes no running client's place at the server, which
throws away what it is sent (``Probe`` in proto/auror/wire/v1/transport.proto).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from auror.deployment.credentials import ClientCredentials
from auror.errors import ConfigError, UnavailableError, UserError
from auror.wire.frames import MAX_FRAME_BYTES
from auror.wire.limits import CHUNK_BYTES
from auror.wire.service import CLIENT_OPTIONS, MOST_PROBED, PROBE_PATH
from auror.wire.v1 import transport_pb2 as pb
from auror_client.transport import CONNECT_SECONDS, ConnectionLost, translate

_FIRST_BYTES = 8 << 10
_ENOUGH_S = 1.0
"""A call that took so long tells the speed of the link."""
_PATIENCE_S = 30.0
_LEAST_S = 1e-3


@dataclass(frozen=True)
class Probed:
    """One look at a server."""

    round_trip_s: float
    uplink: float
    """Bytes per second; at least so many, where a whole probe takes less than a second."""
    skew_s: float
    """The server's clock less this machine's, known to half of ``round_trip_s``."""
    policy_version: int
    """The version that its next round is under."""


async def probe(address: str, own: ClientCredentials) -> Probed | None:
    """Measure the link to ``address``; None: nobody is there.

    Raises:
        UserError: the server refuses this client, or cannot be measured.
    """
    secure = grpc.ssl_channel_credentials(own.tls.ca, own.tls.key, own.tls.certificate)
    async with grpc.aio.secure_channel(address, secure, options=CLIENT_OPTIONS) as channel:
        call = channel.stream_unary(PROBE_PATH, bytes, pb.Probed.FromString)
        try:
            await _timed(call, 0, CONNECT_SECONDS)  # the connection is made with it
            round_trip, told, sent = await _timed(call, 0)
            uplink = await _uplink(call, round_trip)
        except ConnectionLost:
            return None
    skew = told.time_s - (sent + round_trip / 2)
    return Probed(round_trip, uplink, skew, told.policy_version)


async def _uplink(call: Any, round_trip: float) -> float:
    size = _FIRST_BYTES
    while True:
        took, _, _ = await _timed(call, size)
        spent = max(took - round_trip, _LEAST_S)
        most = MOST_PROBED - MAX_FRAME_BYTES  # frames count too
        if took >= _ENOUGH_S or size >= most:
            return size / spent
        size = min(most, max(4 * size, int(2 * _ENOUGH_S * size / spent)))


async def _timed(
    call: Any, size: int, patience: float = _PATIENCE_S
) -> tuple[float, pb.Probed, float]:
    """Seconds that ``size`` bytes and the answer took, the answer, and when it began.

    Raises:
        ConnectionLost, UserError: nobody is there, or says no.
    """
    began, sent = time.perf_counter(), time.time()
    made = call(timeout=patience)
    try:
        for filler in _fillers(size):
            await made.write(filler)
        await made.done_writing()
        told: pb.Probed = await made
    except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError) as error:
        raise _ended(await made.code(), await made.details()) from error
    return time.perf_counter() - began, told, sent


def _fillers(size: int) -> Iterator[bytes]:
    for at in range(0, size, CHUNK_BYTES):
        yield pb.Filler(nothing=bytes(min(CHUNK_BYTES, size - at))).SerializeToString()


def _ended(code: grpc.StatusCode, details: str | None) -> ConnectionLost | UserError:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ConfigError("the server is of another version of auror: use the same on both sides")
    said = translate(code, details)
    if isinstance(said, ConnectionLost) and code is not grpc.StatusCode.UNAVAILABLE:
        return UnavailableError(f"the server could not be measured ({said}): try again")
    return said
