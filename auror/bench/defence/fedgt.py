"""FedGT's setting: 15 clients, 1 → 7 flips, 1 to 5 malicious, 100 validation samples.

Both get the same data, model and training. FedGT sees eight whole mean updates of overlapping
groups of four in one round; AUROR sees 108 numbers of disjoint groups of five in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.bench.defence.arena import (
    detection_row,
    metrics_row,
    setting,
    under_auror,
)
from auror.bench.defence.averages import averaged
from auror.bench.defence.rows import Row, Say, cached_row
from auror.bench.fedgt import CLIENTS, FedGTParams, flagged, group_matrix, positive_tests
from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.prepared import Prepared
from auror.experiments.result import rates
from auror.learn.evaluate import evaluate

ATTACK = "flip:1:7"
GROUP_SIZE = 5
ROUNDS = 30
REDUCED_ROUNDS = 15
METHODS = ("none", "fedgt", "auror")


def run(cache: Path, seeds: Sequence[int], reduced: bool, say: Say) -> list[Row]:
    """A row per number of malicious clients, method and seed."""
    found = []
    rounds = REDUCED_ROUNDS if reduced else ROUNDS
    for malicious in (2,) if reduced else range(6):
        for method in METHODS:
            for seed in seeds:
                key = {
                    "attack": ATTACK, "clients": CLIENTS, "malicious": malicious,
                    "method": method, "rounds": rounds, "seed": seed,
                }  # fmt: skip
                compute = partial(_row, method, malicious, rounds, seed)
                found.append(cached_row(cache, "fedgt", key, say, compute))
    return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds, and what each method opens."""
    return averaged(
        rows,
        ("malicious", "method", "smallest_group", "numbers_per_opening", "rounds_opened"),
        ("accuracy", "attack_success", "tpr", "fpr", "leverage"),
    )


def _row(method: str, malicious: int, rounds: int, seed: int) -> Row:
    config = setting(ATTACK, seed, GROUP_SIZE, clients=CLIENTS, malicious=malicious, rounds=rounds)
    if method != "auror":
        return _plain(config, tested=method == "fedgt")
    result = under_auror(config, (RunName.DEFENDED,))
    defended, found = result.defended, detection_row(result)
    privacy = defended.privacy if defended is not None else {}
    return {
        **metrics_row(result.outcomes[RunName.DEFENDED].final),
        "tpr": found["tpr"],
        "fpr": found["fpr"],
        "smallest_group": privacy["smallest_group"],
        "numbers_per_opening": 100 + config.round_params.challenge_rows,
        "rounds_opened": privacy["rounds_opened"],
        "leverage": privacy["leverage_per_round"],
    }


def _plain(config: ExperimentConfig, *, tested: bool) -> Row:
    """Plain averaging; with FedGT's group test in one round, and without the flagged from then."""
    prepared = Prepared.of(config)
    params, population = FedGTParams(), prepared.population
    trainer, everybody = prepared.trainer(population), tuple(population.x)
    out = np.zeros(CLIENTS, dtype=bool)
    model = prepared.host.initial(0)
    for index in range(config.rounds):
        trained = trainer.train(model, everybody, index)
        updates = np.stack([trained[client] for client in everybody])
        if tested and index == params.test_round:
            quality = [_recall(prepared, model + updates[members].mean(axis=0))
                       for members in group_matrix()]  # fmt: skip
            out = flagged(positive_tests(np.array(quality), params), params)
        model = (model + updates[~out].mean(axis=0)).astype(np.float32)
    left_out = {client: float(flag) for client, flag in zip(everybody, out, strict=True)}
    tpr, fpr = rates(left_out, population.malicious, population.poisoned)
    matrix = group_matrix().astype(np.float64)
    return {
        **metrics_row(prepared.metrics(model)),
        "tpr": tpr,
        "fpr": fpr,
        "smallest_group": int(matrix.sum(axis=1).min()) if tested else CLIENTS,
        "numbers_per_opening": model.size,
        "rounds_opened": 1 if tested else 0,
        "leverage": float(np.diag(np.linalg.pinv(matrix) @ matrix).mean()) if tested else 1 / 15,
    }


def _recall(prepared: Prepared, model: NDArray[np.float32]) -> float:
    """Of the attacked class, on the server's clean samples."""
    data = prepared.data
    found = evaluate(
        prepared.pinned.task,
        model.astype(np.float32),
        data.clean_x,
        data.clean_y,
        attack=prepared.config.attack,
        device=prepared.device,
    )
    return found.source_recall or 0.0
