"""Links of a bounded bandwidth, for load tests: both ways as slow as the client's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from auror.deployment.credentials import ClientCredentials
from auror.errors import UserError
from auror.round.past import Past
from auror.wire.frames import Begun
from auror.wire.v1 import transport_pb2 as pb
from auror_client.clock import Clock
from auror_client.faults import Faults
from auror_client.transport import Link, Transport


class SlowTransport:
    """Another transport's connections, each as slow as ``faults`` says."""

    def __init__(self, inner: Transport, faults: Faults, clock: Clock) -> None:
        self._inner, self._faults, self._clock = inner, faults, clock
        self.address = inner.address

    def connect(
        self, credentials: ClientCredentials, past: Past
    ) -> AbstractAsyncContextManager[Link]:
        inner = self._inner.connect(credentials, past)
        rate = self._faults.bytes_per_second(credentials.client)
        return inner if rate is None else self._slowed(inner, rate)

    async def diagnose(self, folder: Path) -> UserError | None:
        return await self._inner.diagnose(folder)

    @asynccontextmanager
    async def _slowed(
        self, inner: AbstractAsyncContextManager[Link], rate: float
    ) -> AsyncIterator[Link]:
        async with inner as link:
            yield SlowLink(link, rate, self._clock)


class SlowLink:
    """One stream; ``rate``: bytes per second, each way."""

    def __init__(self, inner: Link, rate: float, clock: Clock) -> None:
        self._inner, self._rate, self._clock = inner, rate, clock
        self._sending = asyncio.Lock()

    @property
    def begun(self) -> Begun | None:
        return self._inner.begun

    @begun.setter
    def begun(self, begun: Begun | None) -> None:
        self._inner.begun = begun

    async def read(self) -> pb.ServerFrame:
        frame = await self._inner.read()
        await self._clock.sleep(frame.ByteSize() / self._rate)
        return frame

    async def send(self, frames: Iterable[bytes]) -> None:
        async with self._sending:
            for frame in frames:
                await self._clock.sleep(len(frame) / self._rate)
                await self._inner.send([frame])

    async def finish(self) -> None:
        await self._inner.finish()
