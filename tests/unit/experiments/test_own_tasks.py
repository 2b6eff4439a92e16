"""Experiments with tasks as people would write them: six clients, three rounds, masks and all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_tasks import Sites, SmallResNet, amounts, images, places, rows
from torch import nn

from auror.errors import ConfigError
from auror.experiments.config import ExperimentConfig
from auror.experiments.experiment import run_experiment
from auror.experiments.options import experiment_config
from auror.experiments.prepared import Prepared
from auror.experiments.progress import Progress
from auror.experiments.result import ExperimentResult
from auror.experiments.runfolder import read_run
from auror.learn import tasks
from auror.learn.architectures import Mlp
from auror.learn.task import ServerData
from auror.library.experiment import save_run
from auror.programs.enrol import Enrolment, terms_of

SMALL = {"clients": 6, "malicious": 2, "group_size": 2, "colluders": 1, "device": "cpu",
         "rounds": 3, "attack": "flip:0:1", "runs": "clean,defended"}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for name, made in (("images", images), ("rows", rows), ("amounts", amounts)):
        x, y = made(360, 5)
        np.savez(folder / f"{name}.npz", x=x, y=y)
    for name, count, seed in [*((f"site-{i}", 120, i) for i in range(6)), ("server", 140, 99)]:
        x, y = images(count, seed)
        np.savez(folder / f"{name}.npz", x=x, y=y)
    return folder


def run(**dials: Any) -> tuple[ExperimentResult, list[str]]:
    said: list[str] = []

    def listen(progress: Progress) -> None:
        said.append(progress.note)

    return run_experiment(experiment_config({**SMALL, **dials}), listen), said


@pytest.mark.parametrize("name", ["SmallResNet", "Rows"])
def test_labelled_samples_from_a_file(name: str, files: Path) -> None:
    path = files / ("images.npz" if name == "SmallResNet" else "rows.npz")
    result, said = run(task=f"own_tasks:{name}", data=str(path), epochs=10)
    assert result.summary()["clean"]["accuracy"] > 0.4
    assert result.defended is not None
    assert [record.aborted for record in result.defended.records] == [None] * 3
    assert len(result.poisoned) == 2
    assert not any("label rows" in line for line in said)


def test_running_statistics_are_aggregated(files: Path) -> None:
    result, _said = run(task="own_tasks:Normalised", dataset="digits")
    assert result.summary()["clean"]["accuracy"] > 0.7
    fresh = Prepared.of(result.config)
    mean = next(s for s in fresh.pinned.task.layout.slices if s.name == "1.running_mean")
    assert np.abs(result.model[mean.offset : mean.stop]).max() > 0.01


def test_numbers_instead_of_labels(files: Path, tmp_path: Path) -> None:
    result, said = run(
        task="own_tasks:Regression", data=str(files / "amounts.npz"), attack="sign",
        clean_per_class=0, rounds=6,
    )  # fmt: skip
    clean, defended = (result.summary()[name] for name in ("clean", "defended"))
    assert clean["accuracy"] is None
    assert 0 < clean["mean_error"] < 1
    assert clean["mean_error"] < defended["mean_error"]
    assert sum("7 entries of a sketch" in line for line in said) == 1
    assert result.defended is not None
    assert result.defended.verdict is not None
    save_run(tmp_path / "run", result)
    again = read_run(tmp_path / "run")
    assert again.result.summary()["clean"] == clean
    page = (tmp_path / "run" / "report.html").read_text()
    assert "mean_error" in page
    assert (tmp_path / "run" / "plots" / "metric-mean_error.svg").exists()


@pytest.mark.parametrize(
    ("dials", "hint"),
    [
        ({"attack": "flip:0:1"}, "has no labels"),
        ({"attack": "sign", "detector": "direction"}, "reads the output layer"),
        ({"attack": "sign", "partition": "shards:2"}, "deals by label"),
    ],
)
def test_what_cannot_work_without_labels_is_refused_before_the_start(
    dials: dict[str, Any], hint: str, files: Path
) -> None:
    with pytest.raises(ConfigError, match=hint):
        run(task="own_tasks:Regression", data=str(files / "amounts.npz"), **dials)


def test_how_ones_own_task_trains_is_the_default_and_dials_change_single_values() -> None:
    own = experiment_config({**SMALL, "task": "own_tasks:SmallResNet"}).training
    assert own == SmallResNet.training
    changed = experiment_config({**SMALL, "task": "own_tasks:SmallResNet", "epochs": 5}).training
    assert changed == replace(own, epochs=5)


def test_a_data_set_beside_a_task_that_loads_its_own_is_refused(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(_task: Sites, _path: Path | None) -> ServerData:
        with np.load(files / "server.npz") as file:
            return ServerData(file["x"][:100], file["y"][:100])

    load = Sites.client_data
    monkeypatch.setattr(Sites, "server_data", here)
    monkeypatch.setattr(Sites, "client_data", lambda task, _path, i: load(task, files, i))
    for dataset in ("mnist5k", "digits"):
        with pytest.raises(ConfigError, match=f"dataset = {dataset} has no effect: .* loads"):
            run(task="own_tasks:Sites", dataset=dataset)
        with pytest.raises(ConfigError, match=f"dataset = {dataset} has no effect: .* loads"):
            terms_of(Enrolment(clients=6, task="own_tasks:Sites", dataset=dataset))
        with pytest.raises(ConfigError, match=f"dataset = {dataset} has no effect with own data"):
            Enrolment(clients=6, data=files, dataset=dataset)
    config = experiment_config({**SMALL, "task": "own_tasks:Sites"})
    again = ExperimentConfig.from_dict(config.to_dict())  # of a run folder
    assert len(Prepared.of(again).data.test_y) == 100


@pytest.mark.slow
def test_poisoners_are_found_with_a_module_and_loaders_of_ones_own(tmp_path: Path) -> None:
    for name, count, seed in [*((f"site-{i}", 150, i) for i in range(15)), ("server", 340, 99)]:
        x, y = places(count, seed)
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    result, _said = run(
        task="own_tasks:TenPlaces", data=str(tmp_path), runs="defended", aggregation="plain",
        rounds=40, clients=15, malicious=3, group_size=2, colluders=3,
    )  # fmt: skip
    assert set(result.flagged) == set(result.malicious)


class Forgetful(Mlp):
    """Drops features in evaluation too."""

    def build(self) -> nn.Module:
        class Dropping(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return nn.functional.dropout(x, 0.5)

        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), Dropping(), nn.Linear(8, 10)
        )


def test_a_module_that_draws_in_evaluation_is_refused_before_it_is_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "find_task", lambda *_args: Forgetful((1, 8, 8), 10))
    with pytest.raises(ConfigError, match="answers the same samples otherwise"):
        terms_of(Enrolment(clients=6, dataset="digits"))
