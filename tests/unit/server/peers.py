"""Streams of the test's own: the real servicer and reception, in the upload phase of a round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from auror_server.events import Event
from auror_server.members import Members
from auror_server.metrics import RoundMeter
from auror_server.reception import Reception
from auror_server.servicer import Servicer

from auror.deployment.credentials import client_folder
from auror.ids import ClientId, Digest, RoundId
from auror.round.description import PROTOCOL_VERSION
from auror.round.messages import Upload
from auror.round.policy import Policy
from auror.round.server.context import Phase
from auror.wire import codec
from auror.wire.frames import Begun, begun_of, client_frames
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

DIM = 60_000
LIMITS = Limits(3, DIM, 0)
ROUND = RoundId(7, bytes(16))
ONE, TWO, THREE = map(ClientId, (0, 1, 2))
UPLOAD = Upload(bytes(range(240)) * 1000, Digest(bytes(32)))
BODY = codec.encode_client(UPLOAD)
"""3.7 chunks."""
FRAMES = tuple(map(pb.ClientFrame.FromString, client_frames(ROUND, Kind.UPLOAD, BODY)))


class Refused(Exception):
    """gRPC ends a handler that aborts."""


class Peer:
    """One stream of a client, as gRPC shows it to the server; what is put into ``says`` is read."""

    def __init__(self, pem: bytes, servicer: Servicer, hello: pb.Hello, at: str) -> None:
        self._pem, self._at = pem, at
        self.says: asyncio.Queue[Any] = asyncio.Queue()
        self.says.put_nowait(pb.ClientFrame(hello=hello))
        self.heard: list[pb.ServerFrame] = []
        self.task = asyncio.create_task(servicer.participate(None, self))

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._pem]}

    def peer(self) -> str:
        return self._at

    async def read(self) -> object:
        return await self.says.get()

    async def write(self, frame: bytes) -> None:
        self.heard.append(pb.ServerFrame.FromString(frame))

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Refused(code)

    def send(self, *said: pb.ClientFrame) -> None:
        for frame in said:
            self.says.put_nowait(frame)

    async def read_all(self) -> None:
        """Let the server read what was sent."""
        for _ in range(1000):
            await asyncio.sleep(0)
            if self.says.empty() or self.task.done():
                break
        await asyncio.sleep(0.01)

    async def ends(self) -> object:
        """The stream ends; what the server aborted with, if it did."""
        self.says.put_nowait(grpc.aio.EOF)
        (found,) = await asyncio.gather(self.task, return_exceptions=True)
        return found.args[0] if isinstance(found, Refused) else found

    @property
    def begun(self) -> Begun | None:
        """What its welcome named."""
        return begun_of(self.heard[0].welcome)


class House:
    """A servicer and its reception, in the upload phase of a round."""

    def __init__(self, folder: Path, policy: Policy, pool: ThreadPoolExecutor) -> None:
        self._folder, self._policy = folder, policy
        self.reception = Reception(Members(policy), LIMITS, pool, lambda: 0.0)
        self._servicer = Servicer(self.reception.members, self.reception, folder)
        self.reception.open(ROUND, LIMITS, RoundMeter(0.0))
        self.reception.enters(Phase.UPLOAD)

    async def stream(
        self,
        client: ClientId = ONE,
        before_hello: Callable[[], None] | None = None,
        at: str = "ipv4:192.0.2.1:7",
        **hello: Any,
    ) -> Peer:
        pem = (client_folder(self._folder / "certs", client) / "cert.pem").read_bytes()
        name = self._policy.name
        said = {"protocol_version": PROTOCOL_VERSION, "deployment": name, "client": client, **hello}
        peer = Peer(pem, self._servicer, pb.Hello(**said), at)
        if before_hello is not None:
            kept = peer.says.get_nowait()
            await peer.read_all()
            before_hello()
            peer.send(kept)
        await peer.read_all()
        return peer

    async def broken_off(self, chunks: int = 2, client: ClientId = ONE) -> None:
        peer = await self.stream(client)
        peer.send(*FRAMES[: 1 + chunks])
        await peer.read_all()
        await peer.ends()

    def events(self, kind: type[Event]) -> list[Event]:
        inbox = self.reception.inbox
        found = [inbox.get_nowait() for _ in range(inbox.qsize())]
        return [event for event in found if isinstance(event, kind)]


Scene = Callable[[House], Awaitable[None]]


def play(deployed: tuple[Path, Policy], scene: Scene) -> None:
    async def run() -> None:
        with ThreadPoolExecutor(1) as pool:
            async with asyncio.timeout(60):
                await scene(House(*deployed, pool))

    asyncio.run(run())


def rest(begun: Begun | None) -> list[pb.ClientFrame]:
    assert begun is not None
    return [*map(pb.ClientFrame.FromString, client_frames(ROUND, Kind.UPLOAD, BODY, begun))]
