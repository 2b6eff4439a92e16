"""From the words of a command line or a manifest to one validated experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auror.errors import ConfigError
from auror.experiments.config import Dropout, ExperimentConfig, Mode, RunName
from auror.learn.attacks import parse_attack
from auror.learn.datasets import CLEAN_SAMPLES
from auror.learn.partition import parse_partition
from auror.learn.training import TrainingParams
from auror.params import RoundParams
from auror.sim.simulate import Aggregation
from auror.training.campaign import AfterFlag

DEFAULTS: Mapping[str, Any] = {
    "dataset": "mnist5k",
    "data_dir": None,
    "clients": 30,
    "malicious": 9,
    "attack": "flip:4:9",
    "partition": "iid",
    "clean_samples": CLEAN_SAMPLES,
    "model": "mlp",
    "group_size": 5,
    "rounds": 30,
    "seed": 1,
    "colluders": None,
    "after_flag": "restart",
    "epochs": None,
    "batch_size": None,
    "learning_rate": None,
    "quantisation_bits": 16,
    "quantisation_range": 0.5,
    "audit_probability": 0.1,
    "device": "auto",
    "aggregation": "secure",
    "mode": "decoded",
    "alpha": None,
    "tau": 0.5,
    "runs": "clean,undefended,oracle,defended",
    "dropout_before": 0.0,
    "dropout_after": 0.0,
}
"""Every dial of an experiment; None: decided by the others."""


def experiment_config(options: Mapping[str, Any]) -> ExperimentConfig:
    """An experiment from dials that differ from ``DEFAULTS``; None counts as not given.

    Raises:
        ConfigError: an unknown dial, or a value that cannot be used.
    """
    given = {**DEFAULTS, **{name: value for name, value in options.items() if value is not None}}
    unknown = sorted(given.keys() - DEFAULTS.keys())
    if unknown:
        raise ConfigError(f"{unknown[0]} is no dial of an experiment: {', '.join(DEFAULTS)}")
    training = {
        name: given[name]
        for name in ("epochs", "batch_size", "learning_rate")
        if given[name] is not None
    }
    colluders = given["colluders"]
    try:
        return ExperimentConfig(
            dataset=given["dataset"],
            data_dir=None if given["data_dir"] is None else Path(given["data_dir"]),
            clients=given["clients"],
            malicious=given["malicious"],
            attack=parse_attack(given["attack"]),
            partition=parse_partition(given["partition"]),
            clean_samples=given["clean_samples"],
            model=given["model"],
            training=TrainingParams(**training),
            rounds=given["rounds"],
            seed=given["seed"],
            round_params=RoundParams(
                group_size=given["group_size"],
                colluders=given["clients"] * 3 // 10 if colluders is None else colluders,
                quantisation_bits=given["quantisation_bits"],
                quantisation_range=given["quantisation_range"],
                audit_probability=given["audit_probability"],
            ),
            mode=Mode(given["mode"]),
            alpha=given["alpha"],
            tau=given["tau"],
            aggregation=Aggregation(given["aggregation"]),
            after_flag=AfterFlag(given["after_flag"]),
            runs=_runs(str(given["runs"])),
            dropout=Dropout(given["dropout_before"], given["dropout_after"]),
            device=given["device"],
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error)) from error


def _runs(text: str) -> tuple[RunName, ...]:
    names = [word.strip() for word in text.split(",")]
    unknown = sorted(set(names) - {*RunName, "all"})
    if unknown:
        raise ConfigError(f"--runs {unknown[0]}: choose of {', '.join(RunName)}")
    return tuple(RunName) if names == ["all"] else tuple(run for run in RunName if run in names)
