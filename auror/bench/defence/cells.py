"""Settings of recorded trainings, what a replay of one says, and lines of tables over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scipy.stats import binomtest

from auror.bench import mislabelling
from auror.bench.defence.averages import cells, mean
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import DefenceReplay, replay
from auror.experiments.config import ExperimentConfig, RunName
from auror.learn.attacks import parse_attack
from auror.learn.partition import parse_partition
from auror.learn.signs import SYNTHETIC
from auror.learn.tasks import choose_task
from auror.params import CLEAN_PER_CLASS, RoundParams
from auror.training.observations import PlanChoice

DIGIT_PAIRS = ("4:9", "1:7", "3:8", "7:1", "5:3", "0:6", "2:7", "8:3", "9:4", "6:0")
"""Source and target classes; the seed chooses, so no pair is favoured."""
SIGN_PAIRS = ("1:2", "14:1", "38:39", "0:1")
"""30 as 50 km/h, stop as 30 km/h, keep right as keep left, and a rare source, 20 as 30 km/h. Pairs
differ in how alike the signs are and how many there are of the source: each is a cell."""


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
    pairs: tuple[str, ...] = DIGIT_PAIRS
    """SOURCE:TARGET that the malicious flip, one per training, by its seed."""
    data_dir: Path | None = None
    """Folder of the data set; None: packaged or drawn."""
    named: str = ""
    """The attack, where it is not a flip of ``pairs``."""
    task: str = "mlp"
    device: str = "cpu"
    """Where it is trained; the verdict is the CPU's."""

    def attack(self, seed: int) -> str:
        if not self.malicious:
            return "none"
        if self.named:
            return self.named
        pair = self.pairs[seed % len(self.pairs)]
        return f"flip:{pair}" if self.fraction == 1.0 else f"flip:{pair}:{self.fraction}"

    @property
    def flips(self) -> str:
        """Which pairs, for tables."""
        if not self.malicious:
            return "none"
        if self.named:
            return self.named.removeprefix(f"{mislabelling.__name__}:")
        return self.pairs[0] if len(self.pairs) == 1 else "by seed"

    def key(self, seed: int) -> Row:
        """What names one row of this cell."""
        return {
            "dataset": self.dataset, "task": self.task, "clients": self.clients,
            "malicious": self.malicious, "flips": self.flips, "attack": self.attack(seed),
            "partition": self.partition, "group_size": self.group_size, "rounds": self.rounds,
            "device": self.device, "seed": seed,
        }  # fmt: skip


def signs(
    bench: Bench, malicious: int, rounds: int, partition: str, pairs: tuple[str, ...] = SIGN_PAIRS
) -> Cell:
    """30 clients in groups of five, with the real signs where ``bench`` has them."""
    name = SYNTHETIC if bench.data_dir is None else "gtsrb"
    return Cell(
        name, 30, malicious, 5, rounds, rounds, partition,
        pairs=pairs, data_dir=bench.data_dir, device=bench.device,
    )  # fmt: skip


def cell_rows(section: str, settings: Sequence[Cell], bench: Bench) -> list[Row]:
    """A row per cell and seed, each kept in the cache when it is computed; seed after seed, so that
    a run that is broken off has something of every cell."""
    return [
        cached_row(bench, section, cell.key(seed), partial(_row, cell, bench.cache, seed))
        for seed in bench.seeds
        for cell in settings
    ]


def recorded(
    cell: Cell, cache: Path, seed: int, choice: PlanChoice | None = None
) -> RecordedTraining:
    """The training of ``cell`` under ``seed``."""
    return record(configured(cell, seed), choice or PlanChoice(), cache / "recordings")


def configured(cell: Cell, seed: int) -> ExperimentConfig:
    """``cell`` under ``seed`` without defence, every client by itself."""
    attack = cell.attack(seed)
    return ExperimentConfig(
        dataset=cell.dataset,
        data_dir=cell.data_dir,
        clients=cell.clients,
        malicious=cell.malicious,
        attack=parse_attack(attack),
        partition=parse_partition(cell.partition),
        clean_per_class=cell.clean_per_class,
        task=choose_task(cell.task),
        seed=seed,
        rounds=cell.recorded,
        device=cell.device,
        runs=(RunName.UNDEFENDED,),
        round_params=RoundParams(group_size=1, colluders=0),
    )


def _row(cell: Cell, cache: Path, seed: int) -> Row:
    made = recorded(cell, cache, seed)
    return outcome(replay(made, cell.group_size, seed, rounds=cell.rounds))


def outcome(found: DefenceReplay) -> Row:
    """What the tables need of a replay."""
    return {
        "tpr": found.tpr,
        "fpr": found.fpr,
        "counted": len(found.malicious),
        "flagged": len(found.flagged),
        "slight": len(found.slight),
        "slight_flagged": len(found.slight & found.flagged.keys()),
        "first": found.first,
        "last": max(found.flagged.values(), default=None),
        "strength": round(found.strength, 3),
    }


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One line per cell; alarms with their 95 % interval (Clopper–Pearson). ``attackers``: over all
    runs those that changed enough labels to count (``auror.bench.replays.CHANGED``), of whom
    ``tpr`` speaks."""
    keys = (
        "dataset", "task", "partition", "clients", "malicious", "flips", "group_size", "rounds",
    )  # fmt: skip
    return [
        {**dict(zip(keys, cell, strict=True)), "runs": len(found), **_summary(found)}
        for cell, found in sorted(cells(rows, keys).items(), key=repr)
    ]


def _summary(found: list[Row]) -> Row:
    alarms = sum(row["fpr"] > 0 for row in found)
    low, high = binomtest(alarms, len(found)).proportion_ci()
    rates = [row["tpr"] for row in found if row["tpr"] is not None]
    undefended = mean(found, "undefended_attack_success")
    firsts = sorted(row["first"] for row in found if row["first"] is not None)
    return {
        "attackers": sum(row["counted"] for row in found),
        "tpr": round(math.fsum(rates) / len(rates), 4) if rates else None,
        "fpr": round(math.fsum(row["fpr"] for row in found) / len(found), 5),
        "runs with a false flag": alarms,
        "interval": [round(float(low), 4), round(float(high), 4)],
        "first flag, median": firsts[len(firsts) // 2] if firsts else None,
        "strength, largest": max(row["strength"] for row in found),
        **({} if undefended is None else {"attack success, undefended": undefended}),
    }
