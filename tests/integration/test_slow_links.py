"""A client's connection and the server's stream over links that are slow, deaf or idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import auror_client.transport
import auror_server.servicer
import pytest
from auror_client.transport import ConnectionLost, GrpcLink, GrpcTransport
from auror_server.connections import EncodedMessage
from fault_proxy import FaultProxy, Weather
from streams import DIM, ME, House

import auror.wire.alive
from auror.deployment.credentials import client_folder, load_client
from auror.ids import Digest, RoundId
from auror.round.messages import Upload
from auror.round.past import Past
from auror.wire import codec
from auror.wire.frames import client_frames, server_frames
from auror.wire.limits import Kind

SILENT = 1.5
ROUND = RoundId(0, bytes(16))
Scene = Callable[[GrpcLink, "House", FaultProxy], Awaitable[None]]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auror.wire.alive, "SILENT_SECONDS", SILENT)
    for module in (auror_client.transport, auror_server.servicer):
        monkeypatch.setattr(module, "BEAT_SECONDS", SILENT / 3)


def play(folder: Path, scene: Scene, weather: Weather) -> None:
    async def run() -> None:
        house = House(folder)
        server = await house.open()
        credentials = load_client(client_folder(folder / "certs", ME))
        try:
            with FaultProxy(house.address, weather) as proxy:
                async with asyncio.timeout(60):
                    transport = GrpcTransport(proxy.address)
                    async with transport.connect(credentials, Past()) as link:
                        await scene(link, house, proxy)
        finally:
            await server.stop(0)
            house.pool.shutdown()

    asyncio.run(run())


def upload(size: int = 4 * DIM) -> list[bytes]:
    body = codec.encode_client(Upload(bytes(size), Digest(bytes(32))))
    return list(client_frames(ROUND, Kind.UPLOAD, body))


SLOW = Weather(rate=64 * 1024, piece=2048)
"""200 kB take three seconds, twice the silence after which a connection is dead."""


@pytest.mark.usefixtures("impatient")
def test_an_upload_whose_bytes_progress_is_alive(tmp_path: Path) -> None:
    async def scene(link: GrpcLink, house: House, proxy: FaultProxy) -> None:
        began = time.monotonic()
        await link.send(upload())
        while proxy.forwarded[0] < 4 * DIM:
            await asyncio.sleep(0.1)
        assert time.monotonic() - began > 1.5 * SILENT
        await asyncio.sleep(2 * SILENT)  # and afterwards, when nobody has anything to say
        assert house.is_here()
        assert not house.reception.refusals.counts
        assert proxy.opened == 1

    play(tmp_path, scene, SLOW)


@pytest.mark.usefixtures("impatient")
def test_a_download_whose_bytes_progress_is_alive(tmp_path: Path) -> None:
    async def scene(link: GrpcLink, house: House, proxy: FaultProxy) -> None:
        began = time.monotonic()
        frames = tuple(server_frames(ROUND, Kind.ROUND_START, bytes(4 * DIM)))
        connection = house.reception.connections.get(ME)
        assert connection is not None
        connection.outbox.put_nowait(EncodedMessage(frames))
        got = [await link.read() for _ in frames]
        assert time.monotonic() - began > 1.5 * SILENT
        assert b"".join(frame.chunk for frame in got) == bytes(4 * DIM)
        assert proxy.opened == 1

    play(tmp_path, scene, SLOW)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sending", [False, True])
def test_a_deaf_connection_is_noticed_at_both_ends(tmp_path: Path, sending: bool) -> None:
    async def scene(link: GrpcLink, house: House, proxy: FaultProxy) -> None:
        assert proxy.deafen() == 1
        began = time.monotonic()
        # when sending: more than what the kernels and HTTP/2 take in
        waiting = link.send(upload() * 200) if sending else link.read()
        with pytest.raises(ConnectionLost, match="nothing heard"):
            await waiting
        assert time.monotonic() - began < 2 * SILENT
        await asyncio.sleep(SILENT)
        assert not house.is_here()
        assert house.reception.refusals.counts == {"deaf": 1}

    play(tmp_path, scene, Weather())
