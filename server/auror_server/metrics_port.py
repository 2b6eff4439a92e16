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
from auror_server.few_at_once import FewAtOnce

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
        self._peers = FewAtOnce(AT_ONCE)

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
            await self._peers.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say() -> None:
            async with asyncio.timeout(PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(request.split(b"\r\n", 1)[0]))

        await self._peers.answer(writer, say, PATIENCE_S)

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
