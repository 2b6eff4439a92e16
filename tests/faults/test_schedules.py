"""Real programs over a link that fails by a drawn schedule, twenty of them (``make faults``)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_proxy import FINE, FaultProxy, Weather

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # where kit is
import kit

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address, programs, wait_until_listening

SCHEDULES = 20
BEHIND = {4, 5}
"""Clients behind the link; the others reach the server directly."""
REJOINED_S = 15.0
"""Within so long after the link is back they are in a total."""
KINDS = (
    "drop",
    "duplicate",
    "delay",
    "cut",
    "half-open",
    "slow-loris",
    "small buffers",
    "flapping",
)


def fail(proxy: FaultProxy, kind: str, draw: np.random.Generator) -> None:
    """The link fails in one way for some seconds."""
    seconds = float(draw.choice([1.0, 3.0, 6.0]))
    match kind:
        case "drop":
            proxy.cut()
        case "duplicate":
            proxy.ghost()
        case "delay":
            proxy.becomes(Weather(delay=0.3))
        case "cut":
            proxy.down()
        case "half-open":
            proxy.deafen()
        case "slow-loris":
            proxy.becomes(Weather(rate=300, piece=20))
        case "small buffers":
            proxy.becomes(Weather(piece=97, delay=0.001))
        case "flapping":
            for _ in range(5):
                proxy.down()
                time.sleep(0.3)
                proxy.up()
                time.sleep(0.3)
    time.sleep(seconds)


def pairs(seed: int) -> Iterator[tuple[str, str]]:
    """Of all pairs of kinds, those of schedule ``seed``: all schedules together play all."""
    every = [(one, other) for one in KINDS for other in KINDS]
    order = np.random.default_rng(0).permutation(len(every))
    yield from (every[k] for k in order[seed::SCHEDULES])


def together(lines: list[dict[str, Any]], after: int) -> bool:
    return any(set(line["accepted"]) >= BEHIND for line in lines[after:])


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_nothing_is_counted_twice_and_everybody_comes_back(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    kit.enrol(tmp_path, rounds=5000, patience=2, training_patience=2)
    address, reader = free_address(), RunReader(tmp_path / "run")
    settings = kit.server_settings(
        tmp_path,
        address,
        session__rounds=5000,
        session__max_failed=5000,
        session__max_aborted=1000,
        session__phase_deadline_s=8,
        session__upload_deadline_s=8,
        server__keep_totals=True,
        server__report=False,
    )
    inputs = {"record__inputs": tmp_path / "inputs"}
    back: list[tuple[str, float]] = []
    with programs(tmp_path / "logs") as starter, FaultProxy(address) as proxy:
        server = starter.server(settings)
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(tmp_path, address, "0-3", **inputs), "near", (0, 6))
        own = kit.client_settings(tmp_path, proxy.address, "4-5", **inputs)
        starter.clients(own, "behind", (0, 6))
        kit.wait_for(lambda: together(kit.rounds(tmp_path), 0), starter)
        for one, other in pairs(seed):
            time.sleep(draw.random())  # in another phase each time
            fail(proxy, one, draw)
            fail(proxy, other, draw)
            before, began = len(kit.rounds(tmp_path)), time.monotonic()
            proxy.becomes(FINE)
            proxy.up()
            kit.wait_for(lambda: together(kit.rounds(tmp_path), before), starter)  # noqa: B023
            back.append((f"{one}, {other}", time.monotonic() - began))
        server.process.terminate()
        assert server.process.wait(kit.PATIENCE) in (0, 6)
    late = [(what, round(seconds, 1)) for what, seconds in back if seconds > REJOINED_S]
    (tmp_path / "back.txt").write_text("".join(f"{s:5.1f} s  {what}\n" for what, s in back))
    print(*(f"{s:.1f} s after {what}" for what, s in back), sep="\n")
    assert not late, back
    lines = [line for line in reader.rounds() if line["accepted"] and not line["aborted"]]
    assert all(kit.exact(tmp_path, line) for line in lines)
    assert len({line["round_id"]["counter"] for line in lines}) == len(lines) > len(back)
    code, said = kit.run("auror", "audit", "verify", str(tmp_path / "run"), cwd=tmp_path)
    assert code == 0, said
