"""FedGT's setting: 15 clients, 1 → 7 flips, 1 to 5 malicious, 10 validation samples a class.

All methods get the same data, model and training; FedGT also its authors' model. It sees eight
whole mean updates of overlapping groups of four in one round; AUROR sees 100 numbers and the
challenge rows of disjoint groups of five in each round. As in the authors' code the malicious
clients are drawn anew until they leave a group without any. Beside the trainings stands what
FedGT's rule reaches on its matrix when no test is wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from auror.bench.defence.arena import (
    detection_row,
    metrics_row,
    setting,
    under_auror,
)
from auror.bench.defence.averages import averaged
from auror.bench.defence.rows import Bench, Row, cached_row
from auror.bench.fedgt import (
    CLIENTS,
    FedGTParams,
    estimated_malicious,
    first_component,
    flagged,
    group_matrix,
    noise_free_rates,
    positive_tests,
)
from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.prepared import Prepared
from auror.experiments.result import rates
from auror.learn.attacks import draw_malicious
from auror.learn.evaluate import evaluate
from auror.learn.tasks import choose_task

SOURCE, TARGET = 1, 7
ATTACK = f"flip:{SOURCE}:{TARGET}"
GROUP_SIZE = 5
ROUNDS = 30
REDUCED_ROUNDS = 15
MODELS = {"mlp": "mlp", "logistic": "auror.bench.logistic:Logistic"}
"""Ours, and the authors'."""
METHODS = {"mlp": ("none", "fedgt", "auror"), "logistic": ("fedgt",)}
MOST_SEEDS = {"none": 5, "auror": 10}
"""At most so many; FedGT, whose one test varies most, gets all."""
CEILINGS = {"fedgt noise-free": True, "fedgt noise-free, any set": False}
"""Method → whether only sets count that leave a group without malicious clients."""
_FAR = 1_000_000
"""From a seed to the next one that is tried in its place."""


def run(bench: Bench) -> list[Row]:
    """A row per model, number of malicious clients, method and seed; of what a noise-free test
    reaches a row per number."""
    found = []
    rounds = REDUCED_ROUNDS if bench.reduced else ROUNDS
    for model in list(MODELS)[:1] if bench.reduced else MODELS:
        for malicious in (2,) if bench.reduced else range(6):
            key = {"attack": ATTACK, "clients": CLIENTS, "model": model, "malicious": malicious}
            for method, seed in _runs(model, bench.seeds):
                run_key = {**key, "method": method, "rounds": rounds, "seed": seed}
                compute = partial(_row, model, method, malicious, rounds, seed)
                found.append(cached_row(bench, "fedgt", run_key, compute))
    for malicious in (2,) if bench.reduced else range(6):
        for method in CEILINGS:
            key = {"attack": ATTACK, "clients": CLIENTS, "model": "–", "malicious": malicious}
            compute = partial(_ceiling, method, malicious)
            found.append(cached_row(bench, "fedgt", {**key, "method": method}, compute))
    return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds, and what each method opens."""
    return averaged(
        rows,
        ("model", "malicious", "method", "smallest_group", "numbers_per_opening", "rounds_opened"),
        (
            "accuracy", "attack_success", "tpr", "fpr", "estimated", "tests_right", "leverage",
        ),
    )  # fmt: skip


def _runs(model: str, seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Method and seed of every training of ``model``."""
    return [
        (method, seed)
        for method in METHODS[model]
        for seed in seeds[: MOST_SEEDS.get(method, len(seeds))]
    ]


def with_benign_group(malicious: int, seed: int) -> int:
    """``seed``, or the next in its place that draws ``malicious`` clients (of 15, at most 5) who
    leave a group without any of them."""
    for found in itertools.count(seed, _FAR):
        bad = list(draw_malicious(CLIENTS, malicious, found))
        if not group_matrix()[:, bad].any(axis=1).all():
            break
    return found


def _ceiling(method: str, malicious: int) -> Row:
    tpr, fpr = noise_free_rates(malicious, FedGTParams(), benign_group=CEILINGS[method])
    return {"tpr": tpr, "fpr": fpr, "tests_right": 1.0, **_opened(None, tested=True)}


def _row(model: str, method: str, malicious: int, rounds: int, seed: int) -> Row:
    drawn = with_benign_group(malicious, seed)
    config = setting(
        ATTACK,
        drawn,
        GROUP_SIZE,
        clients=CLIENTS,
        malicious=malicious,
        rounds=rounds,
        task=choose_task(MODELS[model]),
    )
    if method != "auror":
        return {"drawn_from": drawn, **_plain(config, tested=method == "fedgt")}
    result = under_auror(config, (RunName.DEFENDED,))
    defended, found = result.defended, detection_row(result)
    privacy = defended.privacy if defended is not None else {}
    return {
        "drawn_from": drawn,
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
    out, test = np.zeros(CLIENTS, dtype=bool), {}
    model = prepared.host.initial(0)
    for index in range(config.rounds):
        trained = trainer.train(model, everybody, index)
        updates = np.stack([trained[client] for client in everybody])
        if tested and index == params.test_round:
            means = np.stack([updates[members].mean(axis=0) for members in group_matrix()])
            tests = _tests(prepared, model + means, params)
            out = flagged(tests, params)
            truth = group_matrix()[:, list(population.malicious)].any(axis=1)
            test = {
                "estimated": estimated_malicious(tests),
                "tests_right": float((tests == truth).mean()),
            }
        model = (model + updates[~out].mean(axis=0)).astype(np.float32)
    left_out = {client: float(flag) for client, flag in zip(everybody, out, strict=True)}
    tpr, fpr = rates(left_out, population.malicious, population.poisoned)
    found = {"tpr": tpr, "fpr": fpr, **test, **_opened(model.size, tested=tested)}
    return {**metrics_row(prepared.metrics(model)), **found}


def _opened(numbers: int | None, *, tested: bool) -> Row:
    """What FedGT, or plain averaging, shows the server."""
    matrix = group_matrix().astype(np.float64)
    return {
        "smallest_group": int(matrix.sum(axis=1).min()) if tested else CLIENTS,
        "numbers_per_opening": numbers,
        "rounds_opened": 1 if tested else 0,
        "leverage": float(np.diag(np.linalg.pinv(matrix) @ matrix).mean()) if tested else 1 / 15,
    }


def _tests(
    prepared: Prepared, models: NDArray[np.float32], params: FedGTParams
) -> NDArray[np.bool_]:
    """Which groups' ``models`` (8, d) test positive."""
    output = prepared.pinned.task.layout.need_output()
    rows = np.stack([output.weights(model)[SOURCE] for model in models]).astype(np.float64)
    recall = np.array([_recall(prepared, model) for model in models])
    return positive_tests(recall, first_component(rows), params)


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
