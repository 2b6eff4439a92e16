"""A network of the tests' own: TCP through a thread that is slow, late, broken or deaf on demand.

What the two programs send stays whole in each direction, as TCP keeps it; what a proxy can do to
them is to be slow, to be silent, and to end connections on one side or on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from auror.programs.processes import free_address

PATIENCE = 30.0
CATCH_UP = 0.25
"""Seconds by which a thread that was late itself may be too fast afterwards."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Weather:
    """What a link is like."""

    rate: float = 0.0
    """Bytes per second in each direction of a connection; 0 = as fast as it goes."""
    fast_back: bool = False
    """Whether ``rate`` is that of the way to the target only."""
    cut_after: int = 0
    """Bytes that a connection carries to the target before it breaks on both sides; 0 = never."""
    delay: float = 0.0
    """Seconds on the way, in each direction."""
    buffer: int = 0
    """Bytes that the kernel keeps per socket; 0 = its own choice. Of new connections."""
    piece: int = 65536
    """Most bytes that are forwarded at once."""


FINE = Weather()


@dataclass(eq=False)
class _Pair:
    """One connection: the socket to who came, and the one to the target."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    deaf: bool = False
    """Nothing gets through any more, and nobody is told."""
    carried: int = 0
    """Bytes to the target."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class FaultProxy:
    """Forwards TCP to ``target``; use as a context manager.

    Every method may be called from the test's thread, while connections are open.
    """

    def __init__(self, target: str, weather: Weather = FINE) -> None:
        """``target``: host:port."""
        self.address = free_address()
        self.forwarded = [0, 0]
        """Bytes that went to the target, and back."""
        self.opened = 0
        """Connections that were made through it."""
        self._target = target
        self._weather = weather
        self._refuses = self._swallows = False
        self._loop = asyncio.new_event_loop()
        self._open: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    # What can be done to the link ---------------------------------------------------------------

    def becomes(self, weather: Weather) -> None:
        """From now on, for what is open too (but for ``buffer``)."""
        self._weather = weather

    def cut(self, only: int | None = None) -> int:
        """Break every open connection, on both sides, or the one that ``only`` draws; how many.
        New ones get through."""
        return self._do(self._break(near=True, far=True, only=only))

    def ghost(self) -> int:
        """Break every open connection on the near side only: the target keeps a stream that nobody
        is at the end of, and gets a second one of the same peer."""
        return self._do(self._break(near=True, far=False))

    def down(self) -> None:
        """Break what is open and let nobody through, until :meth:`up`."""
        self._refuses = True
        self.cut()

    def deafen(self) -> int:
        """Let no byte through that is under way or comes, and tell nobody (half-open connections);
        how many. What is opened before :meth:`up` is deaf for good too."""
        self._swallows = True
        return self._do(self._deafen())

    def up(self) -> None:
        """New connections get through. What was made deaf stays deaf: as behind a router that has
        forgotten it."""
        self._refuses = self._swallows = False

    # How ----------------------------------------------------------------------------------------

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _do(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        host, _, port = self.address.rpartition(":")
        listening = socket.create_server((host, int(port)), backlog=512)
        if self._weather.buffer:  # accepted sockets inherit it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._weather.buffer)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._weather.buffer)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, sock=listening))
        self._ready.set()
        self._loop.run_forever()
        server.close()

    async def _end(self) -> None:
        await self._break(near=True, far=True)
        ending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _break(self, near: bool, far: bool, only: int | None = None) -> int:
        broken = [pair for pair in self._open if not pair.deaf or far]
        if only is not None and broken:
            broken = [broken[only % len(broken)]]
        for pair in broken:
            self._abort(pair, near, far)
        return len(broken)

    def _abort(self, pair: _Pair, near: bool = True, far: bool = True) -> None:
        pair.deaf = True
        if near:
            pair.near.transport.abort()
        if far:
            pair.far.transport.abort()
            self._open.discard(pair)

    async def _deafen(self) -> int:
        heard = [pair for pair in self._open if not pair.deaf]
        for pair in heard:
            pair.deaf = True
        return len(heard)

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._refuses:
            near.transport.abort()
            return
        host, _, port = self._target.rpartition(":")
        try:
            far_reader, far = await asyncio.open_connection(host, int(port))
        except OSError:
            near.transport.abort()
            return
        if self._weather.buffer:
            raw = far.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._weather.buffer)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._weather.buffer)
        pair = _Pair(near, far, deaf=self._swallows)
        self._open.add(pair)
        self.opened += 1
        pair.tasks = [
            asyncio.ensure_future(self._pump(pair, reader, far, 0)),
            asyncio.ensure_future(self._pump(pair, far_reader, near, 1)),
        ]
        self._tasks |= set(pair.tasks)
        with contextlib.suppress(asyncio.CancelledError):  # streams log a task that is cancelled
            await asyncio.gather(*pair.tasks)
        self._tasks -= set(pair.tasks)
        if not pair.deaf:
            self._open.discard(pair)

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: int
    ) -> None:
        """One direction. Late bytes wait in a queue: a delay costs no bandwidth."""
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            while True:
                due, data = await late.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if pair.deaf:
                    continue
                if not data:
                    writer.close()
                    return
                if not way and self._weather.cut_after:
                    data = data[: self._weather.cut_after - pair.carried]
                writer.write(data)
                self.forwarded[way] += len(data)
                with contextlib.suppress(OSError):
                    await writer.drain()
                pair.carried += 0 if way else len(data)
                if pair.carried == self._weather.cut_after > 0:
                    self._abort(pair)

        delivering = asyncio.ensure_future(deliver())
        free = time.monotonic()
        try:
            while data := await reader.read(self._weather.piece):
                weather = self._weather
                if weather.rate and not (way and weather.fast_back):
                    free = max(free, time.monotonic() - CATCH_UP) + len(data) / weather.rate
                    await asyncio.sleep(max(0.0, free - time.monotonic()))
                await late.put((time.monotonic() + weather.delay, data))
        except OSError:
            pass
        if not pair.deaf:
            await late.put((time.monotonic() + self._weather.delay, b""))
            with contextlib.suppress(OSError):
                await delivering
        delivering.cancel()
