"""The gRPC side of one client's stream: who it is, frames in, frames out; and of its probes.

Nothing of a peer is parsed before its certificate was found in the policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from auror.deployment.credentials import tls_key_digest
from auror.errors import ProtocolError
from auror.ids import ClientId
from auror.round.description import PROTOCOL_VERSION
from auror.round.past import MOST_COUNTER, MOST_ERAS, Past
from auror.wire.alive import BEAT_SECONDS, Beats, Silence
from auror.wire.fields import WireError
from auror.wire.frames import Assembler, Received, welcome
from auror.wire.limits import Limits
from auror.wire.service import METHOD, MOST_PROBED, PROBE, SERVICE
from auror.wire.v1 import transport_pb2 as pb
from auror_server.admission import Refusals
from auror_server.connections import Connection, EncodedMessage
from auror_server.members import Members, NotEnrolled
from auror_server.status import Silent, WrongHello, status_of

HELLO_SECONDS = 15.0
HANG_UP_SECONDS = 3.0
DEAF_SECONDS = 60.0
"""How long a peer may leave a frame where it is: until then what it is sent waits here."""
PROBE_SECONDS = 30.0
"""For all that a probe sends."""
_BEAT = EncodedMessage((pb.ServerFrame(beat=pb.Beat()).SerializeToString(),))


class StreamHandler(Protocol):
    """What the session offers to the streams."""

    @property
    def limits(self) -> Limits: ...

    @property
    def refusals(self) -> Refusals: ...

    def reopens(self, client: ClientId) -> None: ...

    def connected(self, client: ClientId, past: Past, assembler: Assembler) -> Connection: ...

    def disconnected(self, connection: Connection) -> None: ...

    def begins(self, client: ClientId) -> None: ...

    def came(self, client: ClientId, size: int) -> None: ...

    def beats(self, client: ClientId) -> None: ...

    async def received(self, client: ClientId, message: Received) -> None: ...

    def malformed(self, client: ClientId, error: ProtocolError) -> None: ...


class Servicer:
    """Handler of ``Participate`` and ``Probe``."""

    def __init__(self, members: Members, handler: StreamHandler, spool: Path) -> None:
        self._deployment = members.policy.name
        self._members = members
        self._handler = handler
        self._spool = spool

    def handler(self) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(
            self.participate, pb.ClientFrame.FromString, bytes
        )
        probe = grpc.stream_unary_rpc_method_handler(self.probe, len, bytes)  # unparsed
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: method, PROBE: probe})

    async def participate(self, _requests: Any, context: Any) -> None:
        try:
            client = identify(context.auth_context(), self._members)
            self._handler.reopens(client)
            past = await self._check_hello(context, client)
        except ProtocolError as error:
            self._handler.refusals.note(type(error).__name__, context.peer(), str(error))
            await context.abort(*status_of(error))
        connection = self._handler.connected(client, past, Assembler(True, self._spool))
        connection.peer = context.peer()
        tasks: set[asyncio.Task[None]] = set()
        try:
            said = welcome(PROTOCOL_VERSION, self._deployment, connection.begun)
            await context.write(pb.ServerFrame(welcome=said).SerializeToString())
            tasks.add(asyncio.create_task(self._read(context, connection)))
            tasks.add(asyncio.create_task(self._write(context, connection)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except TimeoutError as error:
            self._handler.refusals.note("deaf", context.peer(), f"client {client}: {error}")
        except ProtocolError as error:
            connection.assembler.close()
            self._handler.malformed(client, error)
            await context.abort(*status_of(error))
        finally:
            # first, and without waiting: gRPC cancels this task when the peer is gone, at any await
            self._handler.disconnected(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def probe(self, sizes: AsyncIterator[int], context: Any) -> bytes:
        """A member measures its link: ``sizes`` of frames, whose bytes are gone by then. It costs
        a stream's opening, and takes no connection's place."""
        try:
            client = identify(context.auth_context(), self._members)
            self._handler.reopens(client)
            await _swallow(client, sizes)
        except ProtocolError as error:
            self._handler.refusals.note(type(error).__name__, context.peer(), str(error))
            await context.abort(*status_of(error))
        return pb.Probed(
            time_s=time.time(), policy_version=self._members.policy.version
        ).SerializeToString()

    async def _check_hello(self, context: Any, client: ClientId) -> Past:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                frame = await context.read()
        except TimeoutError as error:
            raise Silent("no hello") from error
        if frame is grpc.aio.EOF or frame.WhichOneof("frame") != "hello":
            raise WrongHello("first frame is no hello")
        hello = frame.hello
        if hello.protocol_version != PROTOCOL_VERSION:
            raise WrongHello(f"protocol version {hello.protocol_version}")
        if hello.deployment != self._deployment:
            raise WrongHello("another deployment")
        if hello.client != client:
            raise WrongHello(f"certificate of client {client}, hello of client {hello.client}")
        identify(context.auth_context(), self._members)  # may have been revoked while it was silent
        self._members.check_version(hello.policy_version)
        return self._past(hello)

    def _past(self, hello: pb.Hello) -> Past:
        """Raises WrongHello: no client's memory holds that."""
        flagged = tuple(map(ClientId, hello.flagged))
        if hello.next_counter > MOST_COUNTER or hello.next_era > MOST_ERAS:
            raise WrongHello("absurd counters")
        if len(flagged) > self._members.policy.roster.next_number or list(flagged) != sorted(
            set(flagged)
        ):
            raise WrongHello("flagged clients that are no set")
        return Past(hello.next_counter, hello.next_era, flagged, hello.policy_version)

    async def _read(self, context: Any, connection: Connection) -> None:
        client, assembler = connection.client, connection.assembler
        async with Silence() as silence:
            while (frame := await silence.heard(context.read())) is not grpc.aio.EOF:
                header, chunk = None, b""
                match frame.WhichOneof("frame"):
                    case "header":
                        header = frame.header
                        if assembler.is_over or not header.offset:
                            self._handler.begins(client)
                        self._handler.came(client, len(header.body))
                    case "chunk":
                        chunk = frame.chunk  # each look at it makes a copy
                        self._handler.came(client, len(chunk))
                    case "beat":
                        self._handler.beats(client)
                        continue
                    case _:
                        raise WireError("a second hello, or an empty frame")
                if assembler.is_over:
                    continue
                if header is None:
                    whole = assembler.chunk(chunk)
                else:
                    whole = assembler.header(header, self._handler.limits)
                if whole is not None:
                    await self._handler.received(client, whole)
        connection.finished = True

    async def _write(self, context: Any, connection: Connection) -> None:
        beats = Beats(BEAT_SECONDS, lambda: connection.outbox.put_nowait(_BEAT))
        async with Silence(DEAF_SECONDS, "taken") as deaf:
            with beats:
                while True:
                    message = await beats.idle(connection.outbox.get())
                    for frame in message.frames:
                        await deaf.heard(context.write(frame))
                    if message.last:
                        break
        connection.delivered = True
        # The client hangs up when it has read this. Ending the stream first could make a message
        # that it is sending right now fail, and hide the goodbye behind that.
        await asyncio.sleep(HANG_UP_SECONDS)


async def _swallow(client: ClientId, sizes: AsyncIterator[int]) -> None:
    """Raises Silent or WireError: they come too slowly, or are too many bytes."""
    taken = 0
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            async for size in sizes:
                taken += size
                if taken > MOST_PROBED:
                    raise WireError(f"client {client} probes with more than {MOST_PROBED} bytes")
    except TimeoutError as error:
        raise Silent(f"client {client} takes too long over a probe") from error


def identify(auth_context: Mapping[str, list[bytes]], members: Members) -> ClientId:
    """The client whose key this connection was made with: gRPC has verified its certificate.

    Raises:
        NotEnrolled, Revoked, NotYet: no certificate, or one that is no member's.
    """
    found = auth_context.get("x509_pem_cert", [])
    if len(found) != 1:
        raise NotEnrolled("no client certificate")
    return members.client_of(tls_key_digest(found[0]))
