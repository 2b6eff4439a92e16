"""Two to five classes, as people with own data often have: false alarms, and who is found.

Of a data set as many classes as a cell says are kept, drawn by the seed and renumbered in the order
in which they are drawn, so no pair is favoured; those who lie label the first as the second. The
samples become own data (npz), split and dealt as anybody's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from auror.bench.defence.averages import cells, mean
from auror.bench.defence.calibration import ALPHAS, alarms_of, observed_rate, watched
from auror.bench.defence.cells import Cell, configured, outcome
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import replay
from auror.experiments.files import write_bytes
from auror.learn.datasets import load_dataset
from auror.training.observations import PlanChoice

CLASSES = (2, 3, 4, 5)
PAIR = ("0:1",)
ROUNDS = 40
DRAWS, REDUCED_DRAWS = 20, 2
"""Of the groups of a training in which nobody lies."""


@dataclass(frozen=True)
class FewClasses:
    """A cell with ``classes`` of its data set's ten."""

    classes: int
    cell: Cell

    def key(self, seed: int) -> Row:
        """What names one row."""
        return {"classes": self.classes, **self.cell.key(seed)}


def few_cells(bench: Bench) -> list[FewClasses]:
    """Nobody lies, or 10 to 30 % of the clients; equal and skewed labels."""
    if bench.reduced:
        return [_few(4, "mnist5k", "iid", 30, lying) for lying in (0, 6)]
    return [
        _few(classes, dataset, way, clients, lying)
        for dataset, clients, some in (
            ("mnist5k", 30, (0, 3, 6, 9)),
            ("mnist5k", 15, (0, 3)),
            ("digits", 15, (0, 3)),
        )
        for way in ("iid", "dirichlet:1.0")
        for classes in CLASSES
        for lying in some
    ]


def _few(classes: int, dataset: str, way: str, clients: int, lying: int) -> FewClasses:
    return FewClasses(classes, Cell(dataset, clients, lying, 5, ROUNDS, ROUNDS, way, pairs=PAIR))


def run(bench: Bench) -> list[Row]:
    """A row per cell and seed; seeds should be ones that no threshold was set on."""
    few = replace(bench, seeds=bench.seeds[:1]) if bench.reduced else bench
    return [
        cached_row(bench, "few_classes", one.key(seed), partial(_row, one, few, seed))
        for seed in few.seeds
        for one in few_cells(bench)
    ]


def recorded_few(one: FewClasses, cache: Path, seed: int) -> RecordedTraining:
    """The training of ``one`` under ``seed``."""
    path = samples(one.cell.dataset, kept_classes(one.classes, seed), cache / "few")
    config = replace(configured(one.cell, seed), dataset="", data=path)
    return record(config, PlanChoice(), cache / "recordings")


def kept_classes(classes: int, seed: int) -> tuple[int, ...]:
    """Which of ten classes are kept, in the order of their new numbers."""
    drawn = np.random.default_rng([seed, classes, 0x6663]).permutation(10)[:classes]
    return tuple(int(label) for label in drawn)


def samples(dataset: str, kept: Sequence[int], folder: Path) -> Path:
    """An npz file with the samples of the classes ``kept``; made where it is not."""
    path = folder / f"{dataset}-{'-'.join(map(str, kept))}.npz"
    if not path.exists():
        data = load_dataset(dataset)
        x = np.concatenate([data.train_x, data.test_x, data.clean_x])
        y = np.concatenate([data.train_y, data.test_y, data.clean_y])
        new = np.full(data.classes, -1)
        new[list(kept)] = np.arange(len(kept))
        chosen = new[y] >= 0
        content = io.BytesIO()
        np.savez(content, x=x[chosen], y=new[y[chosen]])
        write_bytes(path, content.getvalue())
    return path


def _row(one: FewClasses, bench: Bench, seed: int) -> Row:
    """``strengths`` and ``accused``: as those of ``calibration``; or what the replays found."""
    cell = one.cell
    made = recorded_few(one, bench.cache, seed)
    if not cell.malicious:
        return watched(made, cell, seed, REDUCED_DRAWS if bench.reduced else DRAWS)
    found = outcome(replay(made, cell.group_size, seed, rounds=cell.rounds))
    return {**found, "undefended_attack_success": made.metrics["attack_success"]}


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A line per cell. Where nobody lies: at every stated rate the part of the draws with an alarm,
    and its interval over trainings (``calibration``); where some do: who is found, over trainings
    in which somebody changed enough labels to count."""
    keys = ("dataset", "classes", "partition", "clients", "malicious", "group_size", "rounds")
    lines: list[Row] = [
        {
            **dict(zip(keys, cell, strict=True)),
            "trainings": len(found),
            **(_found(found) if cell[4] else _alarms(found)),
        }
        for cell, found in cells(rows, keys).items()
    ]
    clean = [row for row in rows if not row["malicious"]]
    return lines + [
        {
            "dataset": "all", "classes": cell[0], "partition": "all", "clients": "all",
            "malicious": 0, "group_size": found[0]["group_size"], "rounds": found[0]["rounds"],
            "trainings": len(found), **_alarms(found),
        }
        for cell, found in cells(clean, ("classes",)).items()
    ]  # fmt: skip


def _alarms(found: list[Row]) -> Row:
    line: Row = {"draws": sum(len(row["strengths"]) for row in found)}
    for alpha in ALPHAS:
        observed, low, high = observed_rate(found, alarms_of(found, alpha))
        line[f"alarms at {alpha:g}"] = round(observed, 4)
        line[f"interval at {alpha:g}"] = [round(low, 4), round(high, 4)]
    strongest = max(max(row["strengths"]) for row in found)
    return {
        **line,
        "largest log-odds": round(strongest, 2),
        "accused at .01": sum(row["accused"] for row in found),
    }


def _found(found: list[Row]) -> Row:
    firsts = sorted(row["first"] for row in found if row["first"] is not None)
    return {
        "attackers": sum(row["counted"] for row in found),
        "tpr": mean(found, "tpr"),
        "fpr": mean(found, "fpr"),
        "nobody flagged in": sum(row["flagged"] == 0 for row in found),
        "first flag, median": firsts[len(firsts) // 2] if firsts else None,
        "attack success, undefended": mean(found, "undefended_attack_success"),
    }
