"""A server of streams without a session, in the test's own process."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import grpc.aio
import kit
from auror_server.members import Members
from auror_server.reception import Reception
from auror_server.servicer import Servicer

from auror.deployment.credentials import load_server
from auror.ids import ClientId
from auror.programs.processes import free_address
from auror.wire.limits import Limits
from auror.wire.service import server_options

DIM = 50_000
ME = ClientId(0)


class House:
    """A server of streams without a session."""

    def __init__(self, folder: Path) -> None:
        self.policy = kit.enrol(folder, 3)
        self.folder = folder
        self.address = free_address()
        self.pool = ThreadPoolExecutor(1)
        limits = Limits(self.policy.id_bound, DIM, 0)
        self.reception = Reception(Members(self.policy), limits, self.pool, time.monotonic)

    async def open(self) -> grpc.aio.Server:
        tls = load_server(self.folder / "certs" / "server").tls
        server = grpc.aio.server(options=server_options(10))
        servicer = Servicer(self.reception.members, self.reception, self.folder)
        server.add_generic_rpc_handlers((servicer.handler(),))
        secure = grpc.ssl_server_credentials(
            [(tls.key, tls.certificate)], root_certificates=tls.ca, require_client_auth=True
        )
        server.add_secure_port(self.address, secure)
        await server.start()
        return server

    def is_here(self) -> bool:
        return self.reception.connections.get(ME) is not None
