"""A run's model measured again: on the run's own test samples, or on others."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from auror.deployment.model_file import model_sha256
from auror.deployment.released import RELEASED_FILE
from auror.errors import DataError
from auror.experiments.finished import FinishedRun
from auror.experiments.prepared import Prepared
from auror.experiments.result import Metrics
from auror.learn.serving import Learning, host_of

Json = dict[str, Any]
_SETTINGS = "config.toml"


def evaluate_run(run: FinishedRun, data: Path | None = None) -> Json:
    """Metrics by name; ``as_recorded``: whether they are those that the run ended with, where they
    were measured on the same samples.

    Args:
        data: other samples: npz, CSV or image folder, all of them for the test.

    Raises:
        UserError: the run trained no model, or its samples or ``data`` cannot be used.
    """
    model = run.need_model()
    found = {"run": str(run.folder), "model_sha256": model_sha256(model)}
    if data is None and run.experiment is not None:
        measured = Prepared.of(run.experiment.result.config).metrics(model)
    else:
        settings = _learning(run)
        if data is not None:
            settings = replace(settings, data=str(data), range="", label_column="")
        named = "learning.data" if data is None else "--data"
        client = None if run.released is None else run.released.client
        host, _notes = host_of(settings, run.task, named, client)
        measured = Metrics.of(host.evaluate(model))
    known = data is None and run.metrics is not None
    same = {"as_recorded": measured == run.metrics} if known else {}
    return {**found, **({} if data is None else {"data": str(data)}), **measured.to_dict(), **same}


def _learning(run: FinishedRun) -> Learning:
    """What the run itself loads its samples by. No code is imported that its own configuration
    does not name."""
    if run.experiment is not None:
        config = run.experiment.result.config
        attack = "" if config.attack is None else str(config.attack)
        own = config.task.name if config.task.own else ""
        return Learning(
            task=own,
            dataset=config.dataset,
            data_dir="" if config.data_dir is None else str(config.data_dir),
            data="",
            label_column="",
            range="",
            device=config.device,
            seed=config.seed,
            report_attack=attack,
        )
    if run.released is not None:
        return _of_client(run)
    path = run.folder / _SETTINGS
    try:
        return Learning(**tomllib.loads(path.read_text(encoding="utf-8"))["learning"])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} was written by another version of auror: {error}") from error


def _of_client(run: FinishedRun) -> Learning:
    path = run.folder / RELEASED_FILE
    samples = run.released.samples if run.released is not None else {}
    if not samples:
        raise DataError(f"{path}: this client trained on no samples, there is nothing to measure")
    try:
        return Learning(**samples, report_attack="")
    except TypeError as error:
        raise DataError(f"{path} was not written by this version: {error}") from error
