"""``auror bench secagg --peer``: the same sums by another implementation, in the same run.

It is installed once, with pip, into an environment of its own below a cache folder, and runs there
as a program: nothing of it is imported here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from auror.bench.speed.cast import evenly
from auror.bench.speed.floors import FloorWork, MachineFloors
from auror.bench.speed.rows import SumSize
from auror.bench.speed.secagg import unmasking_work
from auror.errors import ConfigError
from auror.experiments.progress import Progress, Reporter
from auror.ids import ClientId
from auror.secagg.graph import Graph

CACHE = Path("~/.cache/auror/peers")


@dataclass(frozen=True)
class Peer:
    """What is installed, and the program beside this file that measures it."""

    requirement: str
    program: str


PEERS: Mapping[str, Peer] = {"flwr": Peer("flwr==1.42.0", "peer_flwr.py")}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A step of a peer."""

    HEAD: ClassVar[tuple[str, ...]] = (
        "name",
        "n",
        "d",
        "k",
        "t",
        "dropout",
        "clock",
        "CPU",
        "floor",
        "CPU / floor",
    )

    name: str
    n: int
    d: int
    degree: int
    threshold: int
    dropout: float
    seconds: float
    cpu_seconds: float
    floor_seconds: float
    """Of the server's unmasking on one core, as for our own rows."""
    ratio_to_floor: float

    def cells(self) -> tuple[str, ...]:
        """For the table under ``HEAD``."""
        return (
            self.name, *(f"{count:,}" for count in (self.n, self.d, self.degree, self.threshold)),
            f"{self.dropout:.0%}", f"{1e3 * self.seconds:,.1f}", f"{1e3 * self.cpu_seconds:,.1f}",
            f"{1e3 * self.floor_seconds:,.1f}", f"{self.ratio_to_floor:,.1f}",
        )  # fmt: skip


def measure_peer(
    name: str,
    wanted: Mapping[SumSize, tuple[float, ...]],
    floors: MachineFloors,
    report: Reporter,
    cache: Path = CACHE,
) -> list[PeerRow]:
    """Its rows for every size and dropout.

    Raises:
        ConfigError: it cannot be installed, or its program fails.
    """
    peer = PEERS[name]
    python = _installed(peer, cache.expanduser() / peer.requirement, report)
    program = Path(__file__).with_name(peer.program)
    rows = []
    for at, (size, dropouts) in enumerate(wanted.items()):
        for dropout in dropouts:
            report(Progress(stage=name, round=at + 1, rounds=len(wanted), note=size.name))
            asked = json.dumps({**asdict(size), "dropout": dropout})
            found = json.loads(_said([str(python), str(program), asked]))
            floor = floors.one_core.seconds(_work(size, dropout))
            rows += [
                PeerRow(
                    f"{name}: {step}", size.n, size.d, size.degree, size.threshold, dropout,
                    round(clock, 6), round(cpu, 6), round(floor, 6), round(cpu / floor, 1),
                )
                for step, (clock, cpu) in found.items()
            ]  # fmt: skip
    return rows


def _work(size: SumSize, dropout: float) -> FloorWork:
    """Of a sum with evenly spaced dropouts, whatever the order on the ring."""
    cohort = tuple(ClientId(client) for client in range(size.n))
    graph = (
        Graph.harary(cohort, size.degree, bytes(32))
        if size.graph == "sparse"
        else Graph.complete(cohort)
    )
    absent = evenly(graph.ring or cohort, dropout)
    return unmasking_work(graph, set(cohort) - set(absent), absent, size.d)


def _installed(peer: Peer, folder: Path, report: Reporter) -> Path:
    """The Python of ``folder``, with the peer in it."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "installed"
    if not done.exists():
        report(Progress(stage="install", note=f"{peer.requirement} into {folder}"))
        venv.create(folder, with_pip=True, clear=True)
        _said([str(python), "-m", "pip", "install", "--quiet", peer.requirement])
        done.touch()
    return python


def _said(command: list[str]) -> str:
    """Standard output. Raises ConfigError with the last line of what it complained about."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise ConfigError(f"peer: {' '.join(command[:4])} …: {said[-1]}")
    return done.stdout
