"""The endpoint for Prometheus: one short request in, one answer out; nobody holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

import pytest
from auror_server import metrics_port
from auror_server.metrics_port import AT_ONCE, LONGEST, MetricsPort
from auror_server.monitor import Monitor

from auror.errors import UnavailableError
from auror.programs.processes import free_address


def scene(
    act: Callable[[str], Awaitable[None]], text: Callable[[], bytes] = lambda: b"x 1\n"
) -> None:
    async def run() -> None:
        address = free_address()
        async with MetricsPort(text).listening(address):
            await act(address)

    asyncio.run(run())


async def raw(address: str, said: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(said)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_client_library_reads_it() -> None:
    def read(address: str) -> tuple[str, str]:
        with urllib.request.urlopen(f"http://{address}/metrics?x=1", timeout=20) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    async def act(address: str) -> None:
        kind, text = await asyncio.to_thread(read, address)
        assert kind.startswith("text/plain; version=")
        assert 'auror_activity{activity="starting"} 1.0' in text
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(urllib.request.urlopen, f"http://{address}/", None, 20)

    scene(act, Monitor().text)


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 405"),
        (b"GET " + b"x" * LONGEST + b"\r\n\r\n", b""),
        (b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * LONGEST + b"\r\n", b""),
    ],
)
def test_what_is_asked_is_answered_or_cut_off(said: bytes, begins: bytes) -> None:
    async def act(address: str) -> None:
        answer = await raw(address, said)
        assert answer.startswith(begins)
        assert bool(answer) == bool(begins)
        assert (await raw(address, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\nx 1\n")

    scene(act)


def test_who_floods_it_or_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "PATIENCE_S", 0.5)

    async def act(address: str) -> None:
        host, _, port = address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.1)
        assert await raw(address, b"GET /metrics HTTP/1.1\r\n\r\n") == b""  # one too many
        for reader, writer in silent:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""  # at its end, or cut off
            writer.close()
        assert (await raw(address, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")

    scene(act)


def test_a_port_in_use_is_one_line_and_none_is_none() -> None:
    async def act(address: str) -> None:
        with pytest.raises(UnavailableError, match="cannot listen on"):
            async with MetricsPort(bytes).listening(address):
                pass
        async with MetricsPort(bytes).listening(""):
            pass

    scene(act)
