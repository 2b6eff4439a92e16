"""``auror sweep``: a grid over any dials and seeds, resumable, a row per cell.

Every cell is computed in a process of its own, here or on the workers of a cluster, and kept as a
file the moment it is done, whole or not at all. A second start computes what is missing and tries
what failed again.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from auror.deployment.checks import check_unused
from auror.errors import ConfigError, UserError
from auror.experiments.engine import Engine
from auror.experiments.files import name_of, read_row, write_json, write_text
from auror.experiments.manifest import Manifest, Row, load_manifest, text_of
from auror.experiments.options import DEFAULTS, experiment_config, options_of, without_effect
from auror.experiments.progress import Heartbeat
from auror.files import make_writable
from auror.version import __version__

Say = Callable[[str], None]
TABLE = "rows.parquet"
MANIFEST = "manifest.toml"
"""What is in the folder of every sweep, of a shard too."""
CELLS = "cells"
"""Beside it: a file per cell."""


@dataclass(frozen=True)
class SweepReport:
    """How a sweep ended."""

    folder: Path
    cells: int
    computed: int
    failed: int
    seconds: float

    def to_dict(self) -> Row:
        return {"folder": str(self.folder), "cells": self.cells, "computed": self.computed,
                "failed": self.failed, "seconds": round(self.seconds, 1)}  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """Every ``of``-th cell, from the ``number``-th on: what one machine of several computes."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigError(f"shard = {self}: write 1/n … n/n, one for each of n machines")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Raises ConfigError: not written as i/n."""
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal()):
            raise ConfigError(f"shard = {text}: write it like 2/5, the second of five")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def cells_of(manifest: Manifest, shard: Shard | None) -> list[Row]:
    """The cells of one machine; None: of the only one.

    Raises:
        ConfigError: there are more machines than cells.
    """
    cells = manifest.cells()
    if shard is None:
        return cells
    if shard.of > len(cells):
        raise ConfigError(f"shard = {shard}: there are {len(cells)} cells, choose n ≤ {len(cells)}")
    return cells[shard.number - 1 :: shard.of]


@dataclass(frozen=True)
class Kept:
    """What of a sweep's cells a folder holds."""

    cells: int
    rows: dict[str, Row]
    """Computed ones by their names."""

    again: int
    """Failed or damaged ones: they are computed again."""

    def __str__(self) -> str:
        said = f"{self.cells} cells, {len(self.rows)} of them there already"
        return f"{said}, {self.again} failed or damaged and computed again" if self.again else said


def found_in(folder: Path, manifest: Path, cells: Sequence[Row]) -> Kept:
    """Which of ``cells`` are there; nothing is written.

    Raises:
        ConfigError: ``folder`` holds another sweep, or something else than cells.
    """
    own = folder / MANIFEST
    if own.exists():
        if own.read_text(encoding="utf-8") != text_of(manifest):
            raise ConfigError(f"{folder} holds another sweep: choose another folder")
    elif folder.is_dir() and [one.name for one in folder.iterdir()] != [CELLS]:
        check_unused("out", folder)  # but for cells of shards that ran elsewhere
    paths = {name: folder / CELLS / f"{name}.json" for name in map(name_of, cells)}
    rows = {name: read_row(path) for name, path in paths.items()}
    good = {name: row for name, row in rows.items() if row and row["reason"] is None}
    again = sum(path.exists() for name, path in paths.items() if name not in good)
    return Kept(len(cells), good, again)


def run_sweep(
    path: Path, folder: Path, engine: Engine, say: Say, shard: Shard | None = None
) -> SweepReport:
    """Compute the missing cells of the manifest at ``path`` and write ``rows.csv`` and
    ``rows.parquet`` into ``folder``.

    Args:
        shard: compute its cells only and write no tables, which whoever brings the cells together
            does; several may share ``folder``.

    Raises:
        ConfigError: a bad manifest, ``folder`` holds another sweep, or no such engine is here.
        UnavailableError: no cluster answers.
    """
    manifest = load_manifest(path)
    cells, started = cells_of(manifest, shard), time.perf_counter()
    there = found_in(folder, path, cells)
    make_writable(folder, "out")
    write_text(folder / MANIFEST, text_of(path))
    kept = there.rows
    missing = [cell for cell in cells if name_of(cell) not in kept]
    say(str(there))
    tasks = [(cell, __version__) for cell in missing]
    done = 0
    with Heartbeat(lambda _: say(f"{done}/{len(missing)} done …")) as heartbeat:
        for name, row in engine.computed(_compute, tasks, _lost):
            write_json(folder / CELLS / f"{name}.json", row)
            kept[name], done = row, done + 1
            left = (time.perf_counter() - started) / done * (len(missing) - done)
            fate = row["reason"] or f"{row['seconds']:.1f} s"
            say(f"{done}/{len(missing)} {_label(manifest, row)}: {fate}; {left:.0f} s left")
            heartbeat.news()
    rows = [kept[name_of(cell)] for cell in cells]
    if shard is None:
        write_table(folder, rows)
    failed = sum(row["reason"] is not None for row in rows)
    return SweepReport(folder, len(cells), len(missing), failed, time.perf_counter() - started)


def _label(manifest: Manifest, row: Row) -> str:
    return " ".join(f"{name}={row[name]}" for name in manifest.grid)


def _compute(task: tuple[Row, str]) -> tuple[str, Row]:
    """Name and row of one cell, in a worker process that may have another version of this code
    than the one that asks; a failure is a row with its reason."""
    cell, version = task
    os.environ["OMP_NUM_THREADS"] = "1"
    from auror.experiments.experiment import run_experiment  # noqa: PLC0415 - loads torch

    started, dials = time.perf_counter(), _dials(cell)
    try:
        if version != __version__:
            raise ConfigError(f"a worker runs auror {__version__}, not {version}: install the same")
        summary = run_experiment(experiment_config(cell), lambda _progress: None).summary()
        row = {**dials, **_results(summary), "reason": None}
    except UserError as error:
        row = {**dials, "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - one broken cell must not end the sweep
        row = {**dials, "reason": f"{type(error).__name__}: {error}"}
    row["seconds"] = round(time.perf_counter() - started, 2)
    return name_of(cell), row


def _lost(task: tuple[Row, str], why: str) -> tuple[str, Row]:
    """Of a cell whose worker was lost."""
    cell, _version = task
    return name_of(cell), {**_dials(cell), "reason": f"its worker was lost: {why}", "seconds": 0.0}


def _dials(cell: Row) -> Row:
    """All of them, None where one has no effect."""
    dials = {**DEFAULTS, **cell}
    return dials | {name: None for name, _why in without_effect(options_of(dials), dials)}


def _results(summary: Mapping[str, Any]) -> Row:
    found: Row = {"tpr": summary["tpr"], "fpr": summary["fpr"], "flagged": summary["flagged"],
                  "rounds_total": summary["rounds_total"]}  # fmt: skip
    found["flagged"] = None if found["flagged"] is None else len(found["flagged"])
    for run in ("clean", "undefended", "oracle", "defended"):
        if summary.get(run) is not None:
            prefix = "" if run == "defended" else f"{run}_"
            found |= {f"{prefix}{name}": value for name, value in summary[run].items()}
    privacy = summary.get("privacy") or {}
    for name in ("statistic_recovery", "update_recovery", "smallest_group", "leverage_per_round",
                 "bits_opened_per_group", "groups_opened", "rounds_watched", "statistics_opened",
                 "audits"):  # fmt: skip
        found[name] = privacy.get(name)
    return found


def write_table(folder: Path, rows: Sequence[Row]) -> None:
    """``rows.csv`` and ``rows.parquet``: the same columns in the same order."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    temporary = folder / "rows.csv.new"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(folder / "rows.csv")
    table = pyarrow.table({name: _column([row.get(name) for row in rows]) for name in columns})
    pyarrow.parquet.write_table(table, folder / "rows.parquet.new")
    (folder / "rows.parquet.new").replace(folder / TABLE)


def _column(values: list[Any]) -> Any:
    """Of one type; a dial that is now a number and now a word becomes words."""
    try:
        return pyarrow.array(values)
    except pyarrow.ArrowInvalid:
        return pyarrow.array([None if value is None else str(value) for value in values])


def read_table(folder: Path) -> list[Row]:
    """The rows of a sweep, failures too.

    Raises:
        ConfigError: ``folder`` holds no finished sweep.
    """
    path = folder / TABLE
    if not path.exists():
        raise ConfigError(f"{folder} holds no rows.parquet: is it the folder of an `auror sweep`?")
    rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
    return rows
