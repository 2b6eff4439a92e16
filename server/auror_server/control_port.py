"""The server's end of the control socket: one bounded line in, one out (docs/adr/0027, 0032)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from auror.deployment.control_socket import CONTROL, LONGEST
from auror.deployment.logs import logger
from auror.deployment.status_socket import PATIENCE_S
from auror.errors import ConfigError, UserError, exit_code_of
from auror_server.status_port import bound

AT_ONCE = 4
_log = logger("server")
Answer = Callable[[Any], Awaitable[dict[str, Any]]]


class ControlPort:
    """Hands every request to ``answer``, one after the other."""

    def __init__(self, answer: Answer) -> None:
        """``answer``: what to say to a request (any JSON value); a UserError is said as one."""
        self._answer = answer
        self._open = 0
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """… in ``folder``, which this process has locked.

        Raises:
            ConfigError: the file system knows no sockets.
        """
        try:
            sock = bound(folder, CONTROL)
            server = await asyncio.start_unix_server(self._serve, sock=sock, limit=LONGEST)
        except OSError as error:
            raise ConfigError(
                f"{folder}: no socket can be made there ({error.strerror}); choose a folder on"
                " another file system"
            ) from error
        try:
            yield
        finally:
            server.close()
            (folder / CONTROL).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= AT_ONCE:
            writer.close()
            return
        self._open += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await reader.readline()
            writer.write(json.dumps(await self._said(line)).encode() + b"\n")
            async with asyncio.timeout(PATIENCE_S):
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # too long a line, or a peer that neither speaks nor reads
        finally:
            self._open -= 1
            writer.close()

    async def _said(self, line: bytes) -> dict[str, Any]:
        try:
            try:
                wanted = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ConfigError("a request is one line of JSON") from error
            async with self._turn:
                return await self._answer(wanted)
        except UserError as error:
            _log.warning("request refused", why=str(error))
            return {"error": str(error), "code": exit_code_of(error)}
