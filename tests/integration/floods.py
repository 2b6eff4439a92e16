"""Floods against a server: ``python floods.py KIND ADDRESS CERTS`` goes on until it is killed.

Each prints a line when it is under way. ``CERTS`` is the folder of a deployment; the member that
misbehaves is the last one.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auror.deployment.credentials import client_folder, load_client, load_server
from auror.errors import UserError
from auror.round.description import PROTOCOL_VERSION
from auror.wire.limits import CHUNK_BYTES, Kind
from auror.wire.service import CLIENT_OPTIONS, PATH
from auror.wire.v1 import transport_pb2 as pb

ROGUE = 5
IDLE = 3000


class Peer:
    """A channel with some certificate, and streams on it."""

    def __init__(self, address: str, certs: Path, member: bool = True) -> None:
        own = load_client(client_folder(certs, ROGUE))
        tls = own.tls if member else load_server(certs / "server").tls
        secure = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
        self.channel = grpc.aio.secure_channel(address, secure, options=CLIENT_OPTIONS)
        hello = pb.Hello(
            protocol_version=PROTOCOL_VERSION, deployment=own.policy.name, client=ROGUE
        )
        self._hello = pb.ClientFrame(hello=hello)

    async def stream(self) -> grpc.aio.StreamStreamCall:
        call = self.channel.stream_stream(
            PATH, pb.ClientFrame.SerializeToString, pb.ServerFrame.FromString
        )()
        await call.write(self._hello)
        await call.read()
        return call

    async def round(self, call: grpc.aio.StreamStreamCall) -> pb.Header:
        """The header of the first message of a round, read on."""
        while (frame := await call.read()) is not grpc.aio.EOF:
            if frame.WhichOneof("frame") == "header":
                return frame.header
        raise ConnectionError("ended")


async def idle(address: str, certs: Path) -> None:
    """Connections that never say a byte, opened again when they are cut."""
    host, _, port = address.rpartition(":")

    async def one() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                await reader.read()
                writer.close()
            except OSError:
                pass
            await asyncio.sleep(0.05)

    await _together([one for _ in range(IDLE)], settle=3.0)


async def reopen(address: str, certs: Path, member: bool = True) -> None:
    """A member that opens stream after stream, on several connections."""

    async def one() -> None:
        peer = Peer(address, certs, member)
        while True:
            try:
                await peer.stream()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.001)

    await _together([one for _ in range(8)])


async def stranger(address: str, certs: Path) -> None:
    """A certificate of the deployment that is no member's."""
    await reopen(address, certs, member=False)


Spoil = Callable[[grpc.aio.StreamStreamCall, pb.Header], Awaitable[None]]


async def _in_every_round(address: str, certs: Path, spoil: Spoil) -> None:
    """A member that does ``spoil`` when it is invited, over and over."""

    async def one() -> None:
        peer = Peer(address, certs)
        while True:
            try:
                call = await peer.stream()
                await spoil(call, await peer.round(call))
            except (grpc.aio.AioRpcError, ConnectionError, asyncio.InvalidStateError):
                await asyncio.sleep(0.01)

    await _together([one])


async def messages(address: str, certs: Path) -> None:
    """A member that sends well-formed uploads of the round without end, each another one."""
    count = itertools.count()

    async def spoil(call: grpc.aio.StreamStreamCall, start: pb.Header) -> None:
        while True:
            body = next(count).to_bytes(8, "little") * 200
            await call.write(pb.ClientFrame(header=_header(start, body)))

    await _in_every_round(address, certs, spoil)


async def unfinished(address: str, certs: Path) -> None:
    """A member that announces messages and lets the body wait."""

    async def spoil(call: grpc.aio.StreamStreamCall, start: pb.Header) -> None:
        await call.write(pb.ClientFrame(header=_header(start, bytes(CHUNK_BYTES + 1))))
        await asyncio.sleep(0.5)
        call.cancel()

    await _in_every_round(address, certs, spoil)


async def beats(address: str, certs: Path) -> None:
    """A member that says without end that it lives, as long as a frame may be."""
    alive = pb.ClientFrame(beat=pb.Beat())
    alive.beat.MergeFromString(pb.Filler(nothing=bytes(CHUNK_BYTES)).SerializeToString())

    async def one() -> None:
        peer = Peer(address, certs)
        while True:
            try:
                call = await peer.stream()
                while True:
                    await call.write(alive)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await asyncio.sleep(0.01)

    await _together([one])


async def probes(address: str, certs: Path) -> None:
    """Anybody who watches the health port, as often as it goes; ``address`` is that port's."""

    async def one() -> None:
        while True:
            try:
                async with grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS) as channel:
                    watch = health_pb2_grpc.HealthStub(channel).Watch
                    async for _ in watch(health_pb2.HealthCheckRequest()):
                        pass
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    await _together([one for _ in range(200)])


def _header(start: pb.Header, body: bytes) -> pb.Header:
    return pb.Header(
        kind=Kind.UPLOAD.value,
        size=len(body),
        sha256=hashlib.sha256(body).digest(),
        round_counter=start.round_counter,
        round_nonce=start.round_nonce,
        body=body if len(body) <= CHUNK_BYTES else b"",
    )


async def _together(attackers: list[Callable[[], Awaitable[None]]], settle: float = 0.5) -> None:
    tasks = [asyncio.ensure_future(attacker()) for attacker in attackers]
    await asyncio.sleep(settle)
    print("under way", flush=True)
    await asyncio.gather(*tasks)


KINDS = {
    each.__name__: each for each in (idle, reopen, stranger, messages, unfinished, beats, probes)
}

if __name__ == "__main__":
    try:
        asyncio.run(KINDS[sys.argv[1]](sys.argv[2], Path(sys.argv[3])))
    except (UserError, KeyboardInterrupt) as error:
        sys.exit(str(error))
