"""Does the verdict accuse nobody when nobody lies?

One training per seed, data set, number of clients and attack is recorded and replayed for every
group size (``auror.bench.replays``). Runs of one cell have different training seeds, so
they are independent; cells that differ in the group size only share their trainings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scipy.stats import binomtest

from auror.bench.defence.averages import cells
from auror.bench.defence.rows import Row, Say, cached_row
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import DefenceReplay, replay
from auror.experiments.config import ExperimentConfig, RunName
from auror.learn.attacks import parse_attack
from auror.learn.partition import parse_partition
from auror.params import CLEAN_PER_CLASS, RoundParams
from auror.training.observations import PlanChoice

CLEAN_ROUNDS = 40
PAIRS = ("4:9", "1:7", "3:8", "7:1", "5:3", "0:6", "2:7", "8:3", "9:4", "6:0")
"""Source and target classes; the seed chooses, so no pair is favoured."""


@dataclass(frozen=True)
class Cell:
    """One setting; ``rounds`` is how many the verdict may take."""

    dataset: str
    clients: int
    malicious: int
    group_size: int
    rounds: int
    recorded: int
    """Rounds of the training that is replayed: shared by cells of other group sizes."""
    partition: str = "iid"
    fraction: float = 1.0
    """Part of the source samples that attackers relabel."""
    clean_per_class: int = CLEAN_PER_CLASS
    """At the server, of each class; 0: the model's own output weights read the statistics."""

    def attack(self, seed: int) -> str:
        if not self.malicious:
            return "none"
        pair = PAIRS[seed % len(PAIRS)]
        return f"flip:{pair}" if self.fraction == 1.0 else f"flip:{pair}:{self.fraction}"

    def key(self, seed: int) -> Row:
        """What names one row of this cell."""
        return {
            "dataset": self.dataset, "clients": self.clients, "malicious": self.malicious,
            "attack": self.attack(seed), "partition": self.partition,
            "group_size": self.group_size, "rounds": self.rounds, "seed": seed,
        }  # fmt: skip


def clean_cells(reduced: bool) -> list[Cell]:
    """Nobody lies."""
    if reduced:
        return [Cell("mnist5k", 30, 0, 5, CLEAN_ROUNDS, CLEAN_ROUNDS)]
    return [
        Cell(dataset, clients, 0, size, CLEAN_ROUNDS, CLEAN_ROUNDS)
        for dataset in ("mnist5k", "digits")
        for clients in (15, 30, 60, 100)
        for size in (3, 5, 8, 10)
        if clients >= 2 * size
    ]


def run(cache: Path, seeds: Sequence[int], reduced: bool, say: Say) -> list[Row]:
    """A row per cell and seed. ``seeds`` should be ones that no threshold was set on (1000 …)."""
    return cell_rows("calibration", clean_cells(reduced), cache, seeds, say)


def cell_rows(
    section: str, cells: Sequence[Cell], cache: Path, seeds: Sequence[int], say: Say
) -> list[Row]:
    """A row per cell and seed, each kept in ``cache`` when it is computed."""
    return [
        cached_row(cache, section, cell.key(seed), say, partial(_row, cell, cache, seed))
        for cell in cells
        for seed in seeds
    ]


def recorded(
    cell: Cell, cache: Path, seed: int, choice: PlanChoice | None = None
) -> RecordedTraining:
    """The training of ``cell`` under ``seed``."""
    attack = cell.attack(seed)
    config = ExperimentConfig(
        dataset=cell.dataset,
        clients=cell.clients,
        malicious=cell.malicious,
        attack=parse_attack(attack),
        partition=parse_partition(cell.partition),
        clean_per_class=cell.clean_per_class,
        seed=seed,
        rounds=cell.recorded,
        device="cpu",
        runs=(RunName.UNDEFENDED,),
        round_params=RoundParams(group_size=1, colluders=0),
    )
    return record(config, choice or PlanChoice(), cache / "recordings")


def _row(cell: Cell, cache: Path, seed: int) -> Row:
    made = recorded(cell, cache, seed)
    return outcome(replay(made, cell.group_size, seed, rounds=cell.rounds))


def outcome(found: DefenceReplay) -> Row:
    """What the tables need of a replay."""
    return {
        "tpr": found.tpr,
        "fpr": found.fpr,
        "flagged": len(found.flagged),
        "slight": len(found.slight),
        "slight_flagged": len(found.slight & found.flagged.keys()),
        "first": found.first,
        "last": max(found.flagged.values(), default=None),
        "strength": round(found.strength, 3),
    }


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One line per cell; alarms with their 95 % interval (Clopper–Pearson)."""
    keys = ("dataset", "partition", "clients", "malicious", "group_size", "rounds")
    return [
        {**dict(zip(keys, cell, strict=True)), "runs": len(found), **_summary(found)}
        for cell, found in sorted(cells(rows, keys).items(), key=repr)
    ]


def _summary(found: list[Row]) -> Row:
    alarms = sum(row["fpr"] > 0 for row in found)
    low, high = binomtest(alarms, len(found)).proportion_ci()
    rates = [row["tpr"] for row in found if row["tpr"] is not None]
    firsts = sorted(row["first"] for row in found if row["first"] is not None)
    return {
        "tpr": round(math.fsum(rates) / len(rates), 4) if rates else None,
        "fpr": round(math.fsum(row["fpr"] for row in found) / len(found), 5),
        "runs with a false flag": alarms,
        "interval": [round(float(low), 4), round(float(high), 4)],
        "first flag, median": firsts[len(firsts) // 2] if firsts else None,
        "strength, largest": max(row["strength"] for row in found),
    }
