"""What keeps a client from its server is named, over the path that gRPC takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import auror_client.diagnosis
import pytest
from auror_client.diagnosis import diagnose, proxy_of
from auror_client.transport import ConnectionLost, GrpcTransport
from streams import ME, House

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import client_folder, load_client
from auror.errors import CredentialsError, UnavailableError, UserError
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import free_address
from auror.round.past import Past


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def found(
    folder: Path, look: Callable[[House, Path], Awaitable[UserError | None]]
) -> UserError | None:
    async def run() -> UserError | None:
        house = House(folder)
        server = await house.open()
        try:
            async with asyncio.timeout(60):
                return await look(house, client_folder(folder / "certs", ME))
        finally:
            await server.stop(0)
            house.pool.shutdown()

    return asyncio.run(run())


async def connects(house: House, own: Path) -> bool:
    try:
        async with GrpcTransport(house.address).connect(load_client(own), Past()):
            return True
    except ConnectionLost:
        return False


def test_nothing_is_found_where_grpc_connects(tmp_path: Path) -> None:
    async def look(house: House, own: Path) -> UserError | None:
        assert await connects(house, own)
        return await diagnose(house.address, own)

    assert found(tmp_path, look) is None


def test_a_proxy_variable_is_named_and_grpc_takes_that_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(house: House, own: Path) -> UserError | None:
        monkeypatch.setenv("https_proxy", f"http://{free_address()}")
        assert not await connects(house, own)
        dead = await diagnose(house.address, own)
        monkeypatch.setenv("no_proxy", "example.org, 127.0.0.0/8")
        assert await connects(house, own)
        assert await diagnose(house.address, own) is None
        return dead

    error = found(tmp_path, look)
    assert isinstance(error, UnavailableError)
    assert "the variable https_proxy" in str(error)
    assert "add 127.0.0.1 to no_proxy, or unset https_proxy" in str(error)


@pytest.mark.parametrize("value", ["http://[::1", "http://127.0.0.1:65536", "http://:3128"])
def test_a_proxy_variable_that_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    async def look(house: House, own: Path) -> UserError | None:
        monkeypatch.setenv("https_proxy", value)
        return await diagnose(house.address, own)

    assert "through a proxy that is no http://host:port" in str(found(tmp_path, look))


@pytest.mark.parametrize("opens", [True, False])
def test_the_proxy_is_asked_as_grpc_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        if not opens:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        host, port = asked[-1].split(b" ")[1].decode().rsplit(":", 1)
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    async def look(house: House, own: Path) -> UserError | None:
        address = free_address()
        host, _, port = address.rpartition(":")
        async with await asyncio.start_server(serve, host, int(port)):
            monkeypatch.setenv("http_proxy", f"http://{address}")
            assert await connects(house, own) is opens
            return await diagnose(house.address, own)

    error = found(tmp_path, look)
    assert len(set(asked)) == 1
    if opens:
        assert error is None
    else:
        assert "a proxy that refuses (HTTP/1.1 403 Forbidden)" in str(error)


def test_exceptions_are_taken_as_grpc_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert proxy_of("server.example") == "https_proxy"
    monkeypatch.setenv("no_proxy", ".example,10.0.0.0/8")
    assert proxy_of("server.example") is None
    assert proxy_of("10.1.2.3") is None
    assert proxy_of("192.0.2.7") == "https_proxy"
    monkeypatch.setenv("no_grpc_proxy", "nobody")
    assert proxy_of("server.example") == "https_proxy"
    monkeypatch.setenv("grpc_proxy", "")
    assert proxy_of("server.example") is None


def test_certificates_and_clocks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
    create_deployment(tmp_path / "other", 3, ["127.0.0.1"], terms)
    stranger = client_folder(tmp_path / "other", ME)
    untrusted = found(tmp_path, lambda house, _own: diagnose(house.address, stranger))
    assert isinstance(untrusted, CredentialsError)
    assert "use the ca.pem of its deployment" in str(untrusted)
    (stranger / "ca.pem").write_bytes((tmp_path / "certs" / "server" / "ca.pem").read_bytes())
    with monkeypatch.context() as patch:  # its own check would name the CA
        patch.setattr(auror_client.diagnosis, "check_tls", lambda *_: None)
        refused = found(tmp_path / "again", lambda house, _own: diagnose(house.address, stranger))
    assert isinstance(refused, CredentialsError)
    own = client_folder(tmp_path / "certs", ME)
    for years, says in ((-5, "): set the clock"), (30, "expired on")):
        moment = time.time() + years * 366 * 86400
        with monkeypatch.context() as patch:
            patch.setattr(auror_client.diagnosis.time, "time", lambda moment=moment: moment)
            error = asyncio.run(diagnose("127.0.0.1:1", own))
        assert isinstance(error, CredentialsError)
        assert says in str(error)
        shown = time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
        assert f"(this machine's clock says {shown})" in str(error)


def test_what_speaks_no_tls_is_named(tmp_path: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def look(_house: House, own: Path) -> UserError | None:
        address = free_address()
        host, _, port = address.rpartition(":")
        async with await asyncio.start_server(plain, host, int(port)):
            return await diagnose(address, own)

    error = found(tmp_path, look)
    assert isinstance(error, CredentialsError)
    assert "speaks no TLS" in str(error)


def test_nobody_there_is_nothing_to_mend_and_an_unknown_name_is(tmp_path: Path) -> None:
    async def look(_house: House, own: Path) -> UserError | None:
        assert await diagnose(free_address(), own) is None
        return await diagnose("nobody.invalid:7443", own)

    assert "no address is known for nobody.invalid" in str(found(tmp_path, look))
