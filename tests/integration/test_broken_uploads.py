"""An upload over a link that breaks before it has carried a whole one, with the real programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kit
import pytest
from fault_proxy import FaultProxy, Weather

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address, programs
from auror.secagg.quantise import ring_bits
from auror.wire import sizes

CLIENTS = 6
BEHIND = 5
"""The client behind the link; the others reach the server directly."""
OTHERS = 40_000
"""More bytes than a client sends before its upload."""
OVERHEAD = 1.2
"""Times an upload: what the link may carry for it, with handshakes and all other messages."""


def one_round(
    folder: Path, dim: int, weather: Weather, cut_every: float = 0.0
) -> tuple[int, int, int, float]:
    """Bytes of the upload, bytes towards the server over the link, its connections, seconds
    since the upload began."""
    policy = kit.enrol(folder, CLIENTS, dim=dim, training_patience=600)
    body = sizes.upload(dim, ring_bits(CLIENTS, policy.params.quantisation_bits))
    address, inputs = free_address(), {"record__inputs": folder / "inputs"}
    settings = kit.server_settings(
        folder,
        address,
        session__rounds=1,
        session__reconnect_grace_s=30,
        server__keep_totals=True,
        server__report=False,
    )
    with (
        programs(folder / "logs") as starter,
        FaultProxy(address, weather) as proxy,
        kit.serving(starter, settings) as server,
        cutting(proxy, cut_every),
    ):
        starter.clients(kit.client_settings(folder, address, "0-4", **inputs), "near")
        own = kit.client_settings(folder, proxy.address, str(BEHIND), **inputs)
        starter.clients(own, "behind")
        kit.wait_for(lambda: proxy.forwarded[0] > OTHERS, starter)
        began = time.monotonic()
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        return body, proxy.forwarded[0], proxy.opened, time.monotonic() - began


@contextmanager
def cutting(proxy: FaultProxy, every: float) -> Iterator[None]:
    """Meanwhile the link breaks every so many seconds; 0 = never."""
    over = threading.Event()

    def cut() -> None:
        while not over.wait(every):
            proxy.cut()

    thread = threading.Thread(target=cut)
    if every:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if every:
            thread.join()


def took_part_once(folder: Path) -> bool:
    (line,) = RunReader(folder / "run").rounds()
    return line["accepted"] == list(range(CLIENTS)) and kit.exact(folder, line)


def test_an_upload_ends_over_a_link_that_breaks_four_times_meanwhile(tmp_path: Path) -> None:
    weather = Weather(rate=400_000, fast_back=True, piece=4096, cut_after=345_000)
    body, sent, connections, _ = one_round(tmp_path, 600_000, weather)
    assert body > 4 * weather.cut_after
    assert connections > 4
    assert sent < OVERHEAD * body
    assert took_part_once(tmp_path)


@pytest.mark.slow
def test_four_megabytes_at_64_kb_per_second_over_a_link_that_breaks_every_ten_seconds(
    tmp_path: Path,
) -> None:
    weather = Weather(rate=64_000, fast_back=True, piece=4096)
    body, sent, connections, seconds = one_round(tmp_path, 1_690_000, weather, cut_every=10.0)
    print(f"{body} bytes, {sent} sent, {connections} connections, {seconds:.0f} s")
    assert body > 4_000_000
    assert connections > 6
    assert sent < OVERHEAD * body
    assert took_part_once(tmp_path)
