"""Section ``defence``: what one verdict costs, in a process of its own on one core.

Ledgers are made up, with attackers in them (``auror.bench.verdict_cost``). The floor is the least
squares that no reading of group sums can do without: as many unknowns as clients, solved for every
pair of classes, with one factorisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auror.bench.defence.timing import measured
from auror.bench.speed.floors import MachineFloors
from auror.bench.verdict_cost import ROUNDS, Size
from auror.experiments.progress import Progress, Reporter

_SEED = 1000


@dataclass(frozen=True)
class VerdictSize:
    """Of a ledger."""

    ledger: Size

    @property
    def name(self) -> str:
        """What ``only`` names it: clients x classes."""
        return f"{self.ledger.clients}x{self.ledger.classes}"


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One verdict."""

    HEAD: ClassVar = (
        "verdict on", "classes", "liars", "rounds", "CPU", "MB added", "floor", "CPU / floor",
    )  # fmt: skip

    name: str
    n: int
    classes: int
    malicious: int
    rounds: int
    cpu_seconds: float
    added_mb: float
    floor_seconds: float
    ratio_to_floor: float

    def cells(self) -> tuple[str, ...]:
        """For the table under ``HEAD``."""
        return (
            f"{self.n:,} clients", f"{self.classes}", f"{self.malicious}", f"{self.rounds}",
            f"{1e3 * self.cpu_seconds:,.0f}", f"{self.added_mb:.1f}",
            f"{1e3 * self.floor_seconds:,.2f}", f"{self.ratio_to_floor:.0f}",
        )  # fmt: skip


def sizes(reduced: bool) -> dict[VerdictSize, None]:
    """A fifth to a third of the clients lie."""
    asked = [(30, 10, 9)]
    if not reduced:
        asked += [(30, 43, 9), (100, 10, 20), (300, 10, 60), (1000, 10, 200), (1000, 43, 200)]
    return {VerdictSize(Size(*numbers)): None for numbers in asked}


def run(
    wanted: Mapping[VerdictSize, None], floors: MachineFloors, report: Reporter
) -> list[VerdictRow]:
    """A row per size."""
    del floors  # of another kind
    rows = []
    for at, size in enumerate(wanted):
        report(Progress(stage="defence", round=at + 1, rounds=len(wanted), note=size.name))
        found = measured(size.ledger, _SEED)
        cpu, floor = found["CPU seconds of a verdict"], found["CPU seconds of least squares"]
        rows.append(
            VerdictRow(
                size.name,
                size.ledger.clients,
                size.ledger.classes,
                size.ledger.malicious,
                ROUNDS,
                cpu,
                found["MB added"],
                floor,
                round(cpu / floor, 1),
            )
        )
    return rows
