"""Replay twenty recordings every way: one JSON line each, to compare before and after a change.

    python scripts/twenty_replays.py CACHE > after.jsonl

Every line says whom a replay flagged after which round, and how many checks failed; two files
agree in all but ``strength`` when the change decides nothing (docs/adr/0019).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from auror.bench.defence.redistribution import SCHEMES, liars, victims_of
from auror.bench.recordings import RecordedTraining, record
from auror.bench.replays import AUDITS, replay
from auror.experiments.config import ExperimentConfig, RunName
from auror.learn.attacks import parse_attack
from auror.learn.partition import parse_partition
from auror.params import RoundParams
from auror.training.observations import PlanChoice

ROUNDS = 24
SEEDS = (11, 12)
SETTINGS = (
    ("digits", 30, 9, "flip:4:9", "iid"),
    ("digits", 30, 3, "flip:1:7", "iid"),
    ("digits", 30, 0, "none", "iid"),
    ("digits", 15, 4, "flip:3:8", "iid"),
    ("mnist5k", 30, 9, "flip:4:9", "iid"),
    ("mnist5k", 30, 3, "flip:7:1", "iid"),
    ("mnist5k", 30, 0, "none", "dirichlet:1.0"),
    ("mnist5k", 20, 6, "flip:4:9+sleep:10", "iid"),
    ("mnist5k", 30, 9, "flip:5:3:0.5", "iid"),
    ("mnist5k", 30, 9, "flip:2:7+scale:5.0", "dirichlet:1.0"),
)
"""Data set, clients, malicious, attack, partition."""


@dataclass(frozen=True)
class Way:
    """How a recording is replayed."""

    group_size: int
    audits: float | None = AUDITS
    partitions: int = 1
    scheme: str | None = None
    """How colluders lie."""


def ways(clients: int, malicious: int) -> list[Way]:
    """Group sizes, audits, partitions, and lies where somebody can tell them."""
    found = [Way(size) for size in (1, 3, 5, 10) if 2 * size <= clients]
    found += [Way(3, None), Way(5, None, 2), Way(5, 0.5)]
    if malicious:
        found += [Way(size, scheme=scheme) for scheme in SCHEMES for size in (3, 5)]
        found.append(Way(5, None, scheme="onto-honests"))
    return found


def line(made: RecordedTraining, way: Way, seed: int) -> dict[str, object]:
    """What ``way`` makes of one recording."""
    lie = None
    if way.scheme is not None:
        lie = liars(way.scheme, made, victims_of(made, seed), seed)
    found = replay(
        made, way.group_size, seed, partitions=way.partitions, lie=lie, audits=way.audits
    )
    return {
        "way": repr(way),
        "flagged": {str(client): at for client, at in sorted(found.flagged.items())},
        "rounds": found.rounds,
        "group_sums": found.group_sums,
        "checks_failed": found.checks_failed,
        "strength": found.strength,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path, help="where the trainings are kept")
    options = parser.parse_args()
    for dataset, clients, malicious, attack, partition in SETTINGS:
        for seed in SEEDS:
            config = ExperimentConfig(
                dataset=dataset,
                clients=clients,
                malicious=malicious,
                attack=parse_attack(attack),
                partition=parse_partition(partition),
                seed=seed,
                rounds=ROUNDS,
                device="cpu",
                runs=(RunName.UNDEFENDED,),
                round_params=RoundParams(group_size=1, colluders=0),
            )
            made = record(config, PlanChoice(), options.cache)
            name = f"{dataset} {clients} {malicious} {attack} {partition} {seed}"
            for way in ways(clients, malicious):
                print(json.dumps({"of": name, **line(made, way, seed)}), flush=True)


if __name__ == "__main__":
    main()
