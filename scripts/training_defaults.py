"""Measure the training defaults: docs/results/training-defaults.json and .md.

    python scripts/training_defaults.py            # measure, then write both
    python scripts/training_defaults.py --render   # rewrite the table from the committed data

Plain averaging with uniform weights, 30 clients, 9 of them (drawn by the seed) with a full
4 -> 9 flip, 30 rounds, one thread. No masking, no defence: what training alone shows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from auror.learn.architectures import Mlp
from auror.learn.attacks import LabelFlip, draw_malicious
from auror.learn.cohort_training import train_clients
from auror.learn.datasets import load_dataset
from auror.learn.evaluate import evaluate
from auror.learn.models import build, flatten
from auror.learn.partition import parse_partition
from auror.learn.training import TrainingParams, client_seed

CLIENTS, MALICIOUS, ROUNDS = 30, 9, 30
FLIP = LabelFlip(4, 9)
DEVICE = torch.device("cpu")
CHOSEN = TrainingParams()
SCREENED, CONFIRMED = (2, 3, 4), tuple(range(2, 12))
OUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "training-defaults.json"


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    seeds: tuple[int, ...]
    params: TrainingParams = CHOSEN
    dataset: str = "mnist5k"
    partition: str = "iid"
    malicious: int = MALICIOUS


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed. ``largest`` is the largest entry of any update of any of the three runs."""

    seed: int
    clean: tuple[float, float]
    undefended: tuple[float, float]
    oracle: tuple[float, float]
    largest: float
    round_ms: float


def settings() -> list[Setting]:
    screened = [
        Setting(describe(params), SCREENED, params)
        for params in (
            TrainingParams(1, 32, 0.05),
            TrainingParams(1, 32, 0.1),
            TrainingParams(1, 16, 0.1),
            TrainingParams(1, 32, 0.3),
            TrainingParams(2, 16, 0.1),
            TrainingParams(2, 32, 0.05, 0.5),
            TrainingParams(2, 32, 0.2),
            TrainingParams(3, 32, 0.1),
            TrainingParams(5, 32, 0.1, 0.9),
        )
    ]
    return [
        Setting(f"**default:** {describe(CHOSEN)}", CONFIRMED, CHOSEN),
        Setting(describe(TrainingParams(1, 32, 0.15)), CONFIRMED, TrainingParams(1, 32, 0.15)),
        *screened,
        Setting("default, 3 malicious", SCREENED, malicious=3),
        Setting("default, dirichlet:1.0", SCREENED, partition="dirichlet:1.0"),
        Setting("default, digits", CONFIRMED, dataset="digits"),
    ]


def describe(params: TrainingParams) -> str:
    momentum = f", momentum {params.momentum:g}" if params.momentum else ""
    return f"epochs {params.epochs}, batch {params.batch_size}, rate {params.learning_rate:g}" + (
        momentum
    )


def measure(setting: Setting, seed: int) -> Outcome:
    data = load_dataset(setting.dataset, seed=seed)
    task = Mlp(data.input_shape, data.classes)
    parts = parse_partition(setting.partition).split(data.train_y, CLIENTS, seed)
    malicious = set(draw_malicious(CLIENTS, setting.malicious, seed))
    xs = [data.train_x[part] for part in parts]
    honest = [data.train_y[part] for part in parts]
    flipped = [
        FLIP.poison(x, y, np.random.default_rng([seed, client]))[1] if client in malicious else y
        for client, (x, y) in enumerate(zip(xs, honest, strict=True))
    ]
    everyone = list(range(CLIENTS))
    good = [client for client in everyone if client not in malicious]
    figures, largest, spent, trained = [], 0.0, 0.0, 0
    for cohort, labels in ((everyone, honest), (everyone, flipped), (good, honest)):
        model = flatten(build(task, seed))
        for number in range(ROUNDS):
            started = time.perf_counter()
            updates = train_clients(
                task,
                model,
                [xs[client] for client in cohort],
                [labels[client] for client in cohort],
                params=setting.params,
                seeds=[client_seed(seed, number, client) for client in cohort],
                device=DEVICE,
            )
            spent += time.perf_counter() - started
            trained += len(cohort)
            largest = max(largest, float(np.abs(updates).max()))
            model = model + updates.mean(axis=0, dtype=np.float64).astype(np.float32)
        result = evaluate(task, model, data.test_x, data.test_y, attack=FLIP, device=DEVICE)
        figures.append((result.accuracy or 0.0, result.attack_success or 0.0))
    clean, undefended, oracle = figures
    return Outcome(seed, clean, undefended, oracle, largest, 1000 * spent / trained * CLIENTS)


def render(table: dict[str, list[dict[str, object]]]) -> str:
    known = {field.name for field in dataclasses.fields(Outcome)}
    lines = [
        "# Training defaults",
        "",
        "Rendered by `python scripts/training_defaults.py --render` from",
        "`training-defaults.json`; without `--render` the script measures again. Means over seeds,",
        "each cell accuracy / attack success (test samples of class 4 predicted as 9).",
        "MLP with 64 hidden units, 30 clients, 9 of them malicious unless said otherwise,",
        "30 rounds of plain averaging, one thread, no masking and no defence.",
        "",
        "| training | seeds | clean | undefended | gap (least) | honest alone | largest | ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in table.items():
        outcomes = [Outcome(**{key: row[key] for key in known}) for row in rows]  # type: ignore[arg-type]

        def cell(run: str, outcomes: list[Outcome] = outcomes) -> str:
            pairs = [getattr(outcome, run) for outcome in outcomes]
            accuracy, success = (statistics.mean(column) for column in zip(*pairs, strict=True))
            return f"{accuracy:.3f} / {success:.3f}"

        gaps = [outcome.undefended[1] - outcome.clean[1] for outcome in outcomes]
        lines.append(
            f"| {name} | {len(outcomes)} | {cell('clean')} | {cell('undefended')} "
            f"| {statistics.mean(gaps):+.3f} ({min(gaps):+.2f}) | {cell('oracle')} "
            f"| {max(outcome.largest for outcome in outcomes):.3f} "
            f"| {statistics.median(outcome.round_ms for outcome in outcomes):.0f} |"
        )
    lines += [
        "",
        "`largest`: entry of any update in any round, what the clip range has to hold. `ms`: local",
        "training of all 30 clients at once, one round, as it came on a shared machine.",
        "",
        "Why these defaults: with 9 of 30 clients flipping, classes 4 and 9 have 0.7 and 1.3 times",
        "their share of the labels, and a model trained gently leans that way. Larger or many more",
        "local steps gain accuracy, but the gap varies by seed (momentum 0.9 over five epochs:",
        "from almost nothing) and single entries grow, which costs resolution when quantised. Two",
        "epochs at rate 0.1 reach 92 %, the gap is wide for every seed, the honest clients alone",
        "lose half a point, and every entry stays within 0.2. On digits the attack shows less: its",
        "4 and 9 are hardly ever confused. The attacked cells hold real label flips only: uniform",
        "weights, no boosted updates.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only rewrite the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.render:
        table = {}
        for setting in settings():
            print(setting.name, file=sys.stderr, flush=True)
            table[setting.name] = [asdict(measure(setting, seed)) for seed in setting.seeds]
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    table = json.loads(OUT.read_text(encoding="utf-8"))
    OUT.with_suffix(".md").write_text(render(table), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
