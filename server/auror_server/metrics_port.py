"""The endpoint that Prometheus reads: one short request in, the metrics out (docs/adr/0032).

Plain HTTP, to be kept to the machine or an internal network. Nothing of a request is used but its
first line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from prometheus_client import CONTENT_TYPE_LATEST

from auror.deployment.addresses import check_address
from auror.deployment.logs import logger
from auror.errors import UnavailableError

PATH = "/metrics"
AT_ONCE = 8
"""Connections that are answered at the same time; others are closed without a word."""
LONGEST = 1 << 13
"""Bytes of a request."""
PATIENCE_S = 5.0
"""For a request to come, and for its answer to be taken."""
_log = logger("server")


class MetricsPort:
    """Answers ``GET /metrics`` with what ``text`` returns then."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        """``text``: asked in the event loop's thread."""
        self._text = text
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @contextlib.asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[None]:
        """… on ``address``; nowhere where that is "".

        Raises:
            UnavailableError: the port is in use, or the address is not of this machine.
        """
        if not address:
            yield
            return
        host, port = check_address("server.metrics", address)
        try:
            server = await asyncio.start_server(
                self._serve, host, port, limit=LONGEST, reuse_port=False
            )
        except OSError as error:
            raise UnavailableError(
                f"server.metrics: cannot listen on {address}, the port is in use or the address is"
                " not of this machine; choose another one"
            ) from error
        _log.info("metrics", at=f"http://{address}{PATH}")
        try:
            yield
        finally:
            server.close()
            for writer in self._open.values():
                writer.transport.abort()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= AT_ONCE:
            writer.transport.abort()
            return
        self._open[task] = writer
        try:
            async with asyncio.timeout(PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(request.split(b"\r\n", 1)[0]))
            writer.close()
            async with asyncio.timeout(PATIENCE_S):
                await writer.wait_closed()
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            writer.transport.abort()  # it says too little or too much, does not read, or is gone
        finally:
            del self._open[task]

    def _answer(self, line: bytes) -> bytes:
        match line.split(b" "):
            case [b"GET", target, _version] if target.split(b"?")[0] == PATH.encode():
                return _response("200 OK", CONTENT_TYPE_LATEST, self._text())
            case [b"GET", _target, _version]:
                return _response("404 Not Found", "text/plain", f"metrics: {PATH}\n".encode())
        return _response("405 Method Not Allowed", "text/plain", b"GET, please\n")


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
