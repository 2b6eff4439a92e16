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
from typing import Any, ClassVar, Protocol

from auror.bench.speed.floors import MachineFloors, measure_floors
from auror.bench.speed.peers import PEERS, measure_peer
from auror.bench.speed.rows import hardware
from auror.errors import ConfigError
from auror.experiments.files import write_text
from auror.experiments.progress import Progress, Reporter

SECTIONS: Mapping[str, str] = {
    "secagg": "one masked sum: the server's steps and one client's",
    "round": "machines and codec of a whole round: the server, and one client",
    "train": "local training of all clients, at once and one by one",
    "defence": "one verdict on the group sums of a whole training",
}
"""Module → what its rows are of."""


class MeasuredRow(Protocol):
    """A dataclass, and how it is shown."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    HEAD: ClassVar[tuple[str, ...]]

    def cells(self) -> tuple[str, ...]:
        """Under ``HEAD``; times in milliseconds."""


@dataclass(frozen=True)
class SpeedReport:
    """Everything of one run."""

    hardware: Mapping[str, str | int | float]
    floors: MachineFloors
    rows: Mapping[str, Sequence[MeasuredRow]]
    """By section."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        shown = {name: [asdict(row) for row in rows] for name, rows in self.rows.items()}
        return {
            "hardware": dict(self.hardware),
            "floors": asdict(self.floors),
            "rows": shown,
        }


def run_speed(
    sections: Sequence[str], only: Sequence[str], reduced: bool, report: Reporter, peer: str = ""
) -> SpeedReport:
    """Measure floors, then the rows of every section.

    Args:
        only: names of sizes; empty: all.
        peer: whose sums of the same sizes follow; "": nobody's.

    Raises:
        ConfigError: no such section, size or peer, or it cannot be installed.
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
    if peer and peer not in PEERS:
        raise ConfigError(f"peer {peer}: choose of {', '.join(PEERS)}")
    if peer and "secagg" not in modules:
        raise ConfigError(f"peer {peer} has rows beside those of secagg: name that section, too")
    report(Progress(stage="floors", note="one core, then two"))
    floors = measure_floors()
    rows: dict[str, Sequence[MeasuredRow]] = {}
    for name, module in modules.items():
        wanted = {s: value for s, value in offered[name].items() if not only or s.name in only}
        if not wanted:
            continue
        rows[name] = module.run(wanted, floors, report)
        if peer and name == "secagg":
            rows[peer] = measure_peer(peer, wanted, floors, report)
    return SpeedReport(hardware(), floors, rows)


def write_report(report: SpeedReport, path: Path) -> None:
    """As JSON.

    Raises:
        OSError: it cannot be written.
    """
    write_text(path, json.dumps(report.to_dict(), indent=1) + "\n")


def title(section: str) -> str:
    """What its rows are of; also of a peer's."""
    if section in PEERS:
        return f"the same sums by {PEERS[section].requirement}, without commitments and signatures"
    return SECTIONS[section]


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
        lines += ["", f"{name}: {title(name)}; milliseconds"]
        cells = [*(row.HEAD for row in rows[:1]), *(row.cells() for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in cells
        ]
    return "\n".join(lines)
