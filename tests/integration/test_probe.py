"""A client measures its link: over the path of its rounds, bounded, and in nobody's place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import auror_client.probe
import auror_server.servicer
import grpc
import grpc.aio
import pytest
from auror_client.checking import check_skew
from auror_client.probe import probe
from auror_client.transport import GrpcTransport
from fault_proxy import FaultProxy, Weather
from streams import ME, House

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import ClientCredentials, client_folder, load_client
from auror.errors import ConfigError, CredentialsError, UnavailableError
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import free_address
from auror.round.past import Past
from auror.wire.service import MOST_PROBED, PROBE_PATH

Scene = Callable[[House, ClientCredentials], Awaitable[None]]


def play(folder: Path, scene: Scene) -> None:
    async def run() -> None:
        house = House(folder)
        server = await house.open()
        try:
            async with asyncio.timeout(120):
                await scene(house, load_client(client_folder(folder / "certs", ME)))
        finally:
            await server.stop(0)
            house.pool.shutdown()

    asyncio.run(run())


async def refused(house: House, own: ClientCredentials, fillers: AsyncIterator[bytes]) -> str:
    """The status of a probe of one's own making."""
    tls = own.tls
    secure = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    async with grpc.aio.secure_channel(house.address, secure) as channel:
        call = channel.stream_unary(PROBE_PATH, bytes, bytes)(fillers)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await call
        code: grpc.StatusCode = await call.code()
        return code.name


async def many(frames: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(frames):
        yield bytes(size)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b""
        await asyncio.sleep(0.05)


def test_it_is_measured_beside_a_running_client(tmp_path: Path) -> None:
    async def scene(house: House, own: ClientCredentials) -> None:
        async with GrpcTransport(house.address).connect(own, Past()):
            running = house.reception.connections.get(ME)
            found = await probe(house.address, own)
            assert found is not None
            assert (found.policy_version, found.uplink > 0) == (1, True)
            assert abs(found.skew_s) <= found.round_trip_s
            assert house.reception.connections.get(ME) is running is not None
        assert not house.reception.refusals.counts

    play(tmp_path, scene)


def test_a_slow_link_is_found_to_be_slow(tmp_path: Path) -> None:
    """Load makes it look slower, never faster; TLS and framing are on the link too."""

    async def scene(house: House, own: ClientCredentials) -> None:
        with FaultProxy(house.address, Weather(rate=64_000, buffer=4096)) as proxy:
            found = await probe(proxy.address, own)
            assert found is not None
            assert 0 < found.uplink < 80_000

    play(tmp_path, scene)


def test_clocks_apart_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(house: House, own: ClientCredentials) -> None:
        real = auror_server.servicer.time.time
        monkeypatch.setattr(
            auror_server.servicer, "time", SimpleNamespace(time=lambda: real() + 3600)
        )
        found = await probe(house.address, own)
        assert found is not None
        with pytest.raises(ConfigError, match=r"clock is 3[56]\d\d s behind"):
            check_skew(found)
        with pytest.raises(ConfigError, match="clock is nan s"):
            check_skew(replace(found, skew_s=float("nan")))

    play(tmp_path, scene)


def test_nobody_there_is_nobody_and_strangers_are_refused(tmp_path: Path) -> None:
    async def scene(house: House, own: ClientCredentials) -> None:
        assert await probe(free_address(), own) is None
        house.reception.members._clients.clear()  # another version of the policy
        with pytest.raises(CredentialsError, match="does not know this certificate"):
            await probe(house.address, own)
        assert house.reception.refusals.counts["NotEnrolled"] == 1

    play(tmp_path, scene)


def test_another_deployment_ends_before_anything_is_measured(tmp_path: Path) -> None:
    terms = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
    create_deployment(tmp_path / "other", 3, ["127.0.0.1"], terms)
    stranger = load_client(client_folder(tmp_path / "other", ME))

    async def scene(house: House, _own: ClientCredentials) -> None:
        assert await probe(house.address, stranger) is None  # no handshake: `diagnose` says why

    play(tmp_path, scene)


def test_no_more_is_taken_than_a_probe_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auror_server.servicer, "PROBE_SECONDS", 0.5)

    async def scene(house: House, own: ClientCredentials) -> None:
        frame = 1 << 15
        assert await refused(house, own, many(MOST_PROBED // frame, frame)) == "OK"
        too_many = many(MOST_PROBED // frame + 1, frame)
        assert await refused(house, own, too_many) == "INVALID_ARGUMENT"
        assert await refused(house, own, many(1, 1 << 20)) == "RESOURCE_EXHAUSTED"  # one frame
        assert await refused(house, own, endless()) == "DEADLINE_EXCEEDED"
        assert house.reception.refusals.counts == {"WireError": 1, "Silent": 1}
        said = [await refused(house, own, many(1, 1)) for _ in range(20)]
        assert said[-1] == "RESOURCE_EXHAUSTED"
        assert house.reception.refusals.counts["TooOften"] >= 1
        with pytest.raises(UnavailableError, match="could not be measured"):
            await asyncio.gather(*(probe(house.address, own) for _ in range(20)))

    play(tmp_path, scene)


def test_another_version_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(house: House, own: ClientCredentials) -> None:
        monkeypatch.setattr(auror_client.probe, "PROBE_PATH", "/auror.wire.v1.Auror/Later")
        with pytest.raises(ConfigError, match="another version of auror"):
            await probe(house.address, own)

    play(tmp_path, scene)
