"""Rows of the speed bench, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.backends.openssl import backend

from auror.bench.speed.clock import TimeSpent
from auror.bench.speed.floors import FloorWork, MachineFloors
from auror.cores import cores
from auror.secagg.topology import Topology


@dataclass(frozen=True, slots=True)
class SumSize:
    """Of one masked sum."""

    n: int
    """Clients that dealt shares."""
    d: int
    """Entries of an update."""
    degree: int
    """Neighbours of every client."""
    threshold: int
    """Shares that restore a secret."""

    @classmethod
    def wired(cls, clients: int, dim: int) -> SumSize:
        """As ``auror loadtest`` wires it."""
        topology = Topology.for_cohort(clients, 0)
        return cls(clients, dim, topology.degree, topology.shares)

    @property
    def graph(self) -> str:
        return "complete" if self.degree == self.n - 1 else "sparse"

    @property
    def name(self) -> str:
        """What ``only`` names it."""
        return f"{self.n}x{self.d}"


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """One row."""

    HEAD: ClassVar = (
        "name", "n", "d", "k", "t", "dropout", "graph", "clock", "CPU", "MB", "floor",
        "floor, 2 cores", "CPU / floor",
    )  # fmt: skip

    name: str
    n: int
    d: int
    degree: int
    threshold: int
    dropout: float
    """Share of the clients that dealt shares and sent no masked input."""
    graph: str
    seconds: float
    cpu_seconds: float
    bytes: int
    """What the step takes from the wire or puts there."""
    floor_seconds: float
    """What key stream and agreements take on one core: of the server, those of the whole unmasking
    for each of its steps, so that the steps' ratios add up."""
    floor_seconds_two_cores: float
    ratio_to_floor: float
    """CPU seconds over the floor of one core."""

    def cells(self) -> tuple[str, ...]:
        """For the table under ``HEAD``."""
        floors = self.floor_seconds, self.floor_seconds_two_cores
        return (
            self.name,
            *(f"{count:,}" for count in (self.n, self.d, self.degree, self.threshold)),
            f"{self.dropout:.0%}",
            self.graph,
            *(f"{1e3 * spent:,.1f}" for spent in (self.seconds, self.cpu_seconds)),
            f"{self.bytes / 1e6:,.2f}",
            *(f"{1e3 * floor:,.1f}" for floor in floors),
            f"{self.ratio_to_floor:.2f}",
        )


def speed_row(
    name: str,
    size: SumSize,
    dropout: float,
    spent: TimeSpent[Any],
    size_bytes: int,
    work: FloorWork,
    floors: MachineFloors,
) -> SpeedRow:
    """The row of a step that has to do ``work``."""
    floor = floors.one_core.seconds(work)
    return SpeedRow(
        name,
        size.n,
        size.d,
        size.degree,
        size.threshold,
        dropout,
        size.graph,
        round(spent.seconds, 6),
        round(spent.cpu_seconds, 6),
        size_bytes,
        round(floor, 6),
        round(floors.two_cores.seconds(work), 6),
        round(spent.cpu_seconds / floor, 2),
    )


def hardware() -> dict[str, str | int | float]:
    """What the rows depend on: processor, cores, memory, and the versions of what works."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "cryptography": version("cryptography"),
        "openssl": backend.openssl_version_text(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
