"""The health service on its own plaintext port: probes have no client certificate."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from auror.wire.service import SERVICE, probe_options

PROBES = 64
_STOP_SECONDS = 5.0
"""Until gRPC cancels what has not ended by itself; on a busy machine that takes a second."""


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # grpc_health has no types
    """Says whether clients may be sent here, until :meth:`stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    async def Watch(  # noqa: N802  # the name of the call
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> None:
        """As the base does, but ended by :meth:`stop`.

        gRPC would cancel it, and write a traceback for each.
        """
        watching = asyncio.ensure_future(super().Watch(request, context))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((watching, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (watching, stopped):
                one.cancel()
            await asyncio.gather(watching, stopped, return_exceptions=True)
        if self._stopped.is_set():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server ends")
        watching.result()

    async def start(self, server: grpc.aio.Server) -> None:
        """Answer on ``server``, which is bound."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)
        await server.start()
        self._server = server

    async def serving(self) -> None:
        """From now on clients may come."""
        for service in (SERVICE, ""):
            await self.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """End every watch, then the port."""
        self._stopped.set()
        if self._server is not None:
            await self._server.stop(_STOP_SECONDS)


def probe_server() -> grpc.aio.Server:
    """To be bound to the health port."""
    return grpc.aio.server(options=probe_options(PROBES))
