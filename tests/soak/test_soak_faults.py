"""The soak's faults happen: to one connection, to all, to processes."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # run has kit

from fault_proxy import FaultProxy
from run import SERVER, Faults

ALWAYS = 1e9
"""Seconds within which everything happens."""


class House:
    """What faults are done to, without processes."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy, self.names = proxy, ("clients-0", "clients-1", "clients-2")
        self.running = dict.fromkeys((SERVER, *self.names))
        self.done: list[str] = []

    def kill(self, name: str) -> None:
        self.done.append(f"kill {name}")

    def start(self, name: str) -> None:
        self.done.append(f"start {name}")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


Pair = tuple[socket.socket, socket.socket]


def through(proxy: FaultProxy, listening: socket.socket) -> Pair:
    """Both ends of a connection whose bytes get there."""
    host, _, port = proxy.address.rpartition(":")
    near = socket.create_connection((host, int(port)), timeout=30)
    far, _ = listening.accept()
    near.sendall(b"x")
    assert far.recv(1) == b"x"
    return near, far


def close(pairs: list[Pair]) -> None:
    for pair in pairs:
        for end in pair:
            end.close()


def test_one_connection_is_dropped_or_all(listening: socket.socket) -> None:
    host, port = listening.getsockname()
    with FaultProxy(f"{host}:{port}") as proxy:
        open_ones = [through(proxy, listening) for _ in range(3)]
        assert proxy.cut(7) == 1
        assert proxy.cut() == 2
        assert proxy.cut(7) == 0
        close(open_ones)


def test_every_kind_of_fault_happens_and_is_counted(listening: socket.socket) -> None:
    host, port = listening.getsockname()
    with FaultProxy(f"{host}:{port}") as proxy:
        house = House(proxy)
        open_ones = [through(proxy, listening) for _ in range(3)]
        faults = Faults(house, 1)  # type: ignore[arg-type]
        faults.step(ALWAYS, server=True)
        close(open_ones)
    assert faults.counts["dropped connections"] == 3
    assert faults.counts["server kills"] == 1
    assert house.done[-2:] == [f"kill {SERVER}", f"start {SERVER}"]
    assert len(house.done) == 2 * (faults.counts["client kills"] + 1)
