"""One connection to the server: TLS, hello, frames; and what to say when it cannot be made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import grpc.aio

from auror.deployment.credentials import ClientCredentials
from auror.errors import CredentialsError, UserError
from auror.round.description import PROTOCOL_VERSION
from auror.round.past import Past
from auror.wire.alive import BEAT_SECONDS, Silence
from auror.wire.frames import Begun, begun_of
from auror.wire.service import CLIENT_OPTIONS, PATH, REVOKED
from auror.wire.v1 import transport_pb2 as pb
from auror_client.diagnosis import diagnose

CONNECT_SECONDS = 12.0
FINISH_SECONDS = 3.0
_GREETINGS = 50
"""Connections that a process of many clients makes at once: thousands would time out together, and
begin anew together."""
_BEAT = pb.ClientFrame(beat=pb.Beat()).SerializeToString()


class ConnectionLost(Exception):
    """The stream ended without a goodbye: whatever was under way has an unknown outcome."""


class Link(Protocol):
    """One open stream to the server."""

    begun: Begun | None
    """What the server holds of an upload that broke off, until one is sent."""

    async def read(self) -> pb.ServerFrame:
        """The next frame.

        Raises:
            ConnectionLost: gone without a goodbye; try later.
            UserError: trying again will not help.
        """

    async def send(self, frames: Iterable[bytes]) -> None:
        """One message's frames, not mixed with another's.

        Raises:
            ConnectionLost: the stream is gone; the server will ask again.
        """

    async def finish(self) -> None:
        """Say no more, and wait until the server has read what was said, for a few seconds."""


class Transport(Protocol):
    """Makes connections to one server."""

    @property
    def address(self) -> str: ...

    def connect(
        self, credentials: ClientCredentials, past: Past
    ) -> AbstractAsyncContextManager[Link]:
        """Connect and exchange hellos on entering. ``past``: of this client, for the hello.

        Raises:
            ConnectionLost, UserError: as for reading.
        """

    async def diagnose(self, folder: Path) -> UserError | None:
        """What keeps connections with the files in ``folder`` from being made, as
        :func:`auror_client.diagnosis.diagnose` says it."""


class GrpcTransport:
    """gRPC over mutual TLS."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._greeting = asyncio.Semaphore(_GREETINGS)

    def connect(self, credentials: ClientCredentials, past: Past) -> GrpcLink:
        return GrpcLink(self.address, credentials, past, self._greeting)

    async def diagnose(self, folder: Path) -> UserError | None:
        return await diagnose(self.address, folder)


class GrpcLink:
    """One stream. Use as an async context manager.

    A task of its own listens, so that a dead connection is noticed also while nobody reads, because
    what was read is being computed with or a long body is being sent.
    """

    def __init__(
        self,
        address: str,
        credentials: ClientCredentials,
        past: Past,
        greeting: asyncio.Semaphore,
    ) -> None:
        """``greeting``: lets as many connections be made at once as fit it."""
        self._greeting = greeting
        tls = credentials.tls
        secure = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
        self._channel = grpc.aio.secure_channel(address, secure, options=CLIENT_OPTIONS)
        self._call: Any = None
        self._credentials = credentials
        self._past = past
        self.begun: Begun | None = None
        self._writing = asyncio.Lock()
        self._frames: asyncio.Queue[pb.ServerFrame | None] = asyncio.Queue(1)
        """What was read and not taken yet; None: nothing comes any more."""
        self._ended: ConnectionLost | UserError | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sent = 0.0
        """When the last message was, by the loop's clock."""

    async def __aenter__(self) -> Self:
        """Connect and exchange hellos."""
        try:
            async with self._greeting, asyncio.timeout(CONNECT_SECONDS):
                await self._greet()
        except TimeoutError as error:
            await self._close()
            raise ConnectionLost("no answer") from error
        except BaseException:
            await self._close()
            raise
        self._tasks.append(asyncio.create_task(self._beat()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def read(self) -> pb.ServerFrame:
        frame = await self._frames.get()
        if frame is None:
            self._frames.put_nowait(None)  # for whoever reads again
            raise self._ended or ConnectionLost("stream ended")
        return frame

    async def send(self, frames: Iterable[bytes]) -> None:
        async with self._writing:
            for frame in frames:
                try:
                    await self._call.write(frame)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                    raise ConnectionLost("stream lost while sending") from error
                except asyncio.CancelledError as error:
                    if _is_cancelled():
                        raise
                    # the call is, by who listens
                    raise ConnectionLost("nothing heard while sending") from error
            self._sent = asyncio.get_running_loop().time()

    async def finish(self) -> None:
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                await self._call.done_writing()
                while True:
                    await self.read()
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # it is gone: nobody waits for this client's words any more
        except (ConnectionLost, UserError):
            pass  # it has read everything

    async def _listen(self) -> None:
        """Read frames until the stream ends, is silent for too long or is closed."""
        try:
            async with Silence() as silence:
                while True:
                    frame = await silence.heard(self._receive())
                    if frame.WhichOneof("frame") != "beat":
                        await self._frames.put(frame)
        except TimeoutError as error:
            self._ended = ConnectionLost(str(error))
            self._call.cancel()  # nobody may wait for it to take what is being sent
        except (ConnectionLost, UserError) as error:
            self._ended = error
        await self._frames.put(None)

    async def _receive(self) -> pb.ServerFrame:
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise translate(error.code(), error.details()) from error
        if frame is grpc.aio.EOF:
            raise translate(await self._call.code(), await self._call.details())
        if not isinstance(frame, pb.ServerFrame):
            raise ConnectionLost("not a frame")
        return frame

    async def _beat(self) -> None:
        """A sign of life whenever nothing was sent for so long, until the stream is gone."""
        now = asyncio.get_running_loop().time
        with contextlib.suppress(ConnectionLost):
            while True:
                await asyncio.sleep(max(0.0, self._sent + BEAT_SECONDS - now()) or BEAT_SECONDS)
                if not self._writing.locked() and now() >= self._sent + BEAT_SECONDS:
                    await self.send([_BEAT])

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    async def _greet(self) -> None:
        method = self._channel.stream_stream(PATH, bytes, pb.ServerFrame.FromString)
        self._call = method()
        hello = pb.Hello(
            protocol_version=PROTOCOL_VERSION,
            deployment=self._credentials.policy.name,
            client=self._credentials.client,
            next_counter=self._past.counter,
            next_era=self._past.era,
            flagged=self._past.flagged,
            policy_version=self._past.version,
        )
        try:
            await self.send([pb.ClientFrame(hello=hello).SerializeToString()])
        except ConnectionLost as error:
            raise ConnectionLost("the server does not answer yet") from error
        self._tasks.append(asyncio.create_task(self._listen()))
        frame = await self.read()
        if frame.WhichOneof("frame") != "welcome":
            raise ConnectionLost("no welcome")
        self.begun = begun_of(frame.welcome)


def _is_cancelled() -> bool:
    """Whether the task itself is, not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def translate(code: grpc.StatusCode, details: str | None) -> ConnectionLost | UserError:
    """How a call ended, as the client's own error."""
    if code is grpc.StatusCode.PERMISSION_DENIED and details == REVOKED:
        return CredentialsError(
            "the server says that the operator revoked this client: ask the operator (`auror roster"
            " reinstate`)"
        )
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return CredentialsError(
            "the server does not know this certificate: use the credentials of the deployment that"
            " the server runs, and copy the newest server/policy.json to it"
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return CredentialsError(
            "the server refused the hello: it runs another deployment or another version of"
            " auror; use the same on both sides"
        )
    return ConnectionLost(f"{code.name.lower()}: {details or 'stream ended'}")
