"""The main claims as a table: seeds 2 to 11, both ways after a flag, no attacker, as published.

    python scripts/acceptance.py --out docs/results/acceptance.json

Aggregation is plain: it gives the same model as the secure one bit for bit (a test shows that).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.experiment import run_experiment
from auror.experiments.progress import Progress
from auror.params import RoundParams
from auror.sim.simulate import Aggregation
from auror.training.config import AfterFlag
from auror.training.detectors import choose_detector

SEEDS = range(2, 12)


def cases(seed: int) -> dict[str, ExperimentConfig]:
    """The settings of one seed, by name."""
    base = ExperimentConfig(
        seed=seed, aggregation=Aggregation.PLAIN, device="cpu", runs=(RunName.DEFENDED,)
    )
    return {
        "restart": replace(base, runs=tuple(RunName)),
        "continue": replace(base, after_flag=AfterFlag.CONTINUE),
        "nobody": replace(base, malicious=0),
        "paper": replace(base, detector=choose_detector("published"), round_params=g1(base)),
    }


def g1(base: ExperimentConfig) -> RoundParams:
    return replace(base.round_params, group_size=1)


def silent(progress: Progress) -> None:
    """Progress of single runs is not shown here; a line per case is."""


def measure(seeds: range) -> list[dict[str, Any]]:
    rows = []
    for seed in seeds:
        for name, config in cases(seed).items():
            started = time.perf_counter()
            summary = run_experiment(config, silent).summary()
            spent = time.perf_counter() - started
            row = {"case": name, "seed": seed, "seconds": round(spent, 1)}
            keys = ("tpr", "fpr", "flagged", "rounds_total", *[run.value for run in RunName])
            row |= {key: summary[key] for key in keys}
            row["recovery"] = {
                key: summary["privacy"][key] for key in ("statistic_recovery", "update_recovery")
            }
            rows.append(row)
            print(
                f"seed {seed:2} {name:9} TPR {row['tpr']} FPR {row['fpr']} {spent:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A markdown table by seed, then the means that the claims are about."""
    lines = [
        "| seed | case | TPR | FPR | flagged | accuracy | attack success |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = row["defended"]
        tpr = "–" if row["tpr"] is None else f"{row['tpr']:.2f}"
        lines.append(
            f"| {row['seed']} | {row['case']} | {tpr} | {row['fpr']:.3f} | {len(row['flagged'])} |"
            f" {found['accuracy']:.3f} | {found['attack_success']:.3f} |"
        )
    full = [row for row in rows if row["case"] == "restart"]
    lines += ["", "| mean | accuracy | source recall | attack success |", "|---|---|---|---|"]
    for run in RunName:
        values = [
            statistics.mean(row[run.value][key] for row in full)
            for key in ("accuracy", "source_recall", "attack_success")
        ]
        lines.append(f"| {run.value} | " + " | ".join(f"{value:.4f}" for value in values) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the raw rows go (JSON)")
    parser.add_argument("--seeds", type=int, nargs=2, default=(2, 11), help="first and last seed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(range(arguments.seeds[0], arguments.seeds[1] + 1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    report = table(rows)
    arguments.out.with_suffix(".md").write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
