"""One training under one rule, on the data, model and attackers that AUROR gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auror.bench.defence.rows import Row
from auror.bench.recordings import colluders_of
from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.experiment import run_experiment
from auror.experiments.result import ExperimentResult, Metrics
from auror.learn.attacks import parse_attack
from auror.params import RoundParams
from auror.rules.choice import choose_rule
from auror.sim.simulate import Aggregation
from auror.training.config import AfterFlag


def setting(attack: str, seed: int, group_size: int = 5, **changes: Any) -> ExperimentConfig:
    """The default experiment under ``attack``; the model goes on without the flagged."""
    clients = int(changes.get("clients", 30))
    colluders = colluders_of(clients)
    plain = ExperimentConfig(
        clients=clients,
        malicious=int(changes.pop("malicious", colluders)),
        attack=parse_attack(attack),
        seed=seed,
        round_params=RoundParams(group_size=group_size, colluders=colluders),
        aggregation=Aggregation.PLAIN,  # the same sums as under masks, bit for bit
        after_flag=AfterFlag.CONTINUE,
    )
    return replace(plain, **{name: value for name, value in changes.items() if name != "clients"})


def under_rule(config: ExperimentConfig, name: str) -> Row:
    """Train with the plaintext rule ``name``, or with AUROR; a rule that leaves out clients anew
    in every round is rated as ``ExperimentResult.rates`` says.

    Raises:
        ConfigError: no rule of this name, or it cannot work on so many clients or without clean
            samples.
    """
    ruled = replace(config, rule=choose_rule(name), runs=(RunName.DEFENDED,))
    result = run_experiment(ruled, lambda _progress: None)
    tpr, fpr = result.rates()
    return {**metrics_row(result.outcomes[RunName.DEFENDED].final), "tpr": tpr, "fpr": fpr}


def under_auror(config: ExperimentConfig, runs: tuple[RunName, ...]) -> ExperimentResult:
    """The product code on group sums, silently."""
    return run_experiment(replace(config, runs=runs), lambda _progress: None)


def metrics_row(metrics: Metrics, prefix: str = "") -> Row:
    """Fractions of test samples in [0, 1]."""
    return {
        f"{prefix}accuracy": metrics.accuracy,
        f"{prefix}attack_success": metrics.attack_success,
        f"{prefix}source_recall": metrics.source_recall,
    }


def damage_row(config: ExperimentConfig) -> Row:
    """Who was found, and the metrics with the defence, without it, and without the attacker."""
    runs = (RunName.CLEAN, RunName.UNDEFENDED, RunName.DEFENDED)
    result = under_auror(config, runs)
    row = detection_row(result)
    for name in runs:
        row |= metrics_row(result.outcomes[name].final, f"{name.value}_")
    return row


def detection_row(result: ExperimentResult) -> Row:
    """Who was found, and when the first and the last of them (rounds count from 1)."""
    tpr, fpr = result.rates()
    defended = result.defended
    times: list[int] = []
    if defended is not None:
        seen: set[int] = set()
        for entry in defended.suspicion:
            times += [entry.round + 1] * len(set(entry.flagged) - seen)
            seen |= set(entry.flagged)
    return {
        "tpr": tpr,
        "fpr": fpr,
        "flagged": len(result.flagged),
        "first_flag": min(times, default=None),
        "last_flag": max(times, default=None),
    }
