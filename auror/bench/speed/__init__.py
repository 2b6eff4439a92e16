"""``auror bench``: what each step costs, beside what the machine can do at all.

Floors and rows are measured in one run, so a ratio does not depend on the machine alone. Nothing
here is asserted: a test of speed would fail with whatever else runs on the machine.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auror.bench.speed.floors import MachineFloors, measure_floors
from auror.bench.speed.rows import SpeedRow, hardware
from auror.errors import ConfigError
from auror.experiments.progress import Progress, Reporter

SECTIONS: Mapping[str, str] = {
    "secagg": "one masked sum: the server's steps and one client's",
    "round": "machines and codec of a whole round: the server, and one client",
}
"""Module → what its rows are of."""


@dataclass(frozen=True)
class SpeedReport:
    """Everything of one run."""

    hardware: Mapping[str, str | int | float]
    floors: MachineFloors
    rows: Mapping[str, Sequence[SpeedRow]]
    """By section."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "hardware": dict(self.hardware),
            "floors": asdict(self.floors),
            "rows": {name: [asdict(row) for row in rows] for name, rows in self.rows.items()},
        }


def run_speed(
    sections: Sequence[str], only: Sequence[str], reduced: bool, report: Reporter
) -> SpeedReport:
    """Measure floors, then the rows of every section.

    Args:
        only: names of sizes; empty: all.

    Raises:
        ConfigError: no such section or size.
    """
    unknown = sorted(set(sections) - SECTIONS.keys())
    if unknown:
        raise ConfigError(f"section {unknown[0]}: choose of {', '.join(SECTIONS)}")
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in sections}
    offered = {name: module.sizes(reduced) for name, module in modules.items()}
    known = {size.name for sizes in offered.values() for size in sizes}
    missing = sorted(set(only) - known)
    if missing:
        raise ConfigError(f"only = {missing[0]}: choose of {', '.join(sorted(known))}")
    report(Progress(stage="floors", note="one core, then two"))
    floors = measure_floors()
    rows = {}
    for name, module in modules.items():
        wanted = {s: value for s, value in offered[name].items() if not only or s.name in only}
        rows[name] = module.run(wanted, floors, report)
    return SpeedReport(hardware(), floors, rows)


def write_report(report: SpeedReport, path: Path) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")


def as_text(report: SpeedReport) -> str:
    """Tables for people: milliseconds, and how many times the floor of one core."""
    lines = [
        ", ".join(f"{key} {value}" for key, value in report.hardware.items()),
        "floors of one core and of two:",
    ]
    one, two = asdict(report.floors.one_core), asdict(report.floors.two_cores)
    for key, unit, scale in (
        ("stream_bytes", "GB/s of key stream, added up", 1e9),
        ("agreements", "thousand X25519/s", 1e3),
        ("verifications", "thousand Ed25519 verified/s", 1e3),
        ("copied_bytes", "GB/s copied", 1e9),
    ):
        lines.append(f"  {one[key] / scale:7.1f} {two[key] / scale:7.1f}  {unit}")
    for name, rows in report.rows.items():
        lines += ["", f"{name}: {SECTIONS[name]}; milliseconds"]
        cells = [_HEAD, *map(_cells, rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(_HEAD))]
        lines += [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in cells
        ]
    return "\n".join(lines)


_HEAD = (
    "name", "n", "d", "k", "t", "dropout", "graph", "clock", "CPU", "MB", "floor", "floor, 2 cores",
    "CPU / floor",
)  # fmt: skip


def _cells(row: SpeedRow) -> tuple[str, ...]:
    return (
        row.name,
        *(f"{count:,}" for count in (row.n, row.d, row.degree, row.threshold)),
        f"{row.dropout:.0%}",
        row.graph,
        *(f"{1e3 * spent:,.1f}" for spent in (row.seconds, row.cpu_seconds)),
        f"{row.bytes / 1e6:,.2f}",
        *(f"{1e3 * spent:,.1f}" for spent in (row.floor_seconds, row.floor_seconds_two_cores)),
        f"{row.ratio_to_floor:.2f}",
    )
