"""The server's end of the status socket: it writes, and reads nothing (docs/adr/0024)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from auror.deployment.logs import logger
from auror.deployment.status_socket import PATIENCE_S, SOCKET, short_name
from auror_server.few_at_once import FewAtOnce
from auror_server.standing import STARTING

AT_ONCE = 8
"""Connections that are answered at the same time; others are closed without a word."""
_log = logger("server")


class StatusPort:
    """Answers everybody who connects with what ``standing`` returns then."""

    def __init__(self) -> None:
        self.standing: Callable[[], dict[str, Any]] = STARTING.copy
        """Asked in the event loop's thread."""
        self._peers = FewAtOnce(AT_ONCE)

    @contextlib.asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """… in ``folder``, which this process has locked. Where that cannot be, the log says so:
        a training does not depend on it."""
        try:
            server = await asyncio.start_unix_server(self._answer, sock=bound(folder, SOCKET))
        except OSError as error:
            _log.warning("no status socket", folder=str(folder), why=error.strerror)
            yield
            return
        try:
            yield
        finally:
            server.close()
            await self._peers.end()
            (folder / SOCKET).unlink(missing_ok=True)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say() -> None:
            writer.write(json.dumps(self.standing()).encode() + b"\n")

        await self._peers.answer(writer, say, PATIENCE_S)


def bound(folder: Path, name: str) -> socket.socket:
    """The socket ``name`` in ``folder``, for this user only.

    Raises OSError where the file system knows no sockets.
    """
    (folder / name).unlink(missing_ok=True)  # of a server that was killed: the lock is ours
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(folder, name) as path:
            line.bind(path)
            Path(path).chmod(0o600)  # nobody can connect before it listens
    except OSError:
        line.close()
        raise
    line.setblocking(False)
    return line
