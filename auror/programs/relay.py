"""A TCP relay that counts: what really crosses the wire, TLS and all framing included."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

_CHUNK = 256 * 1024


class CountingRelay:
    """Passes connections to ``target`` (host:port) on and counts bytes both ways.

    A context manager; ``port`` is where clients connect. Runs in a thread of its own.
    """

    def __init__(self, target: str, listen: str = "127.0.0.1") -> None:
        self._listen_at = listen
        self._host, _, port = target.rpartition(":")
        self._onwards = int(port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.bytes_up = 0
        """Client → server."""
        self.bytes_down = 0

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        self._server = starting.result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(
            self._connect, self._listen_at, 0, limit=_CHUNK, backlog=4096
        )

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            there, back = await asyncio.open_connection(self._host, self._onwards, limit=_CHUNK)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._pump(reader, back, True), self._pump(there, writer, False))
        finally:
            writer.close()
            back.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, up: bool
    ) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                if up:
                    self.bytes_up += len(chunk)
                else:
                    self.bytes_down += len(chunk)
                sink.write(chunk)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            with contextlib.suppress(OSError):  # the other side may be gone already
                sink.write_eof()
