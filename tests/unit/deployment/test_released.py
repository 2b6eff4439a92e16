"""A client's folder of the final model: what is written, what is read back, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounds_kit import Deployment

from auror.deployment.model_file import model_sha256, tensor_entries
from auror.deployment.released import (
    RELEASED_FILE,
    Released,
    check_folder,
    keep_released,
    read_released,
)
from auror.errors import ConfigError, DataError
from auror.experiments.evaluate import evaluate_run
from auror.experiments.finished import read_finished
from auror.learn.pinned import PinnedTask
from auror.learn.tasks import find_task
from auror.learn.training import TrainingParams
from auror.report.card import card_json, card_markdown

POLICY = Deployment(7, task=b'{"synthetic": 24}').policy
MODEL = np.linspace(-1, 1, 24, dtype=np.float32)
NAMED = {"parameters": [{"name": "w", "shape": [24]}], "standardisation": {}, "model": {},
         "loss": "", "training": {}}  # fmt: skip
FACTS = Released(client=3, era=1, step=9, sha256=model_sha256(MODEL), samples={})


def test_what_is_kept_is_read_back_as_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    keep_released(check_folder(folder, "client.model"), POLICY, FACTS, MODEL)
    assert read_released(folder) == FACTS
    run = read_finished(folder)
    assert run.model is not None
    assert np.array_equal(run.model, MODEL)
    assert (run.task, run.policy, run.released) == (POLICY.task, POLICY, FACTS)
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(DataError, match="trained on no samples"):
        evaluate_run(run)
    keep_released(check_folder(folder, "client.model"), POLICY, FACTS, MODEL)  # a later one


def test_an_interrupted_replacement_is_named(tmp_path: Path) -> None:
    """The facts are of the new model, the model's file is still the one before."""
    keep_released(tmp_path, POLICY, FACTS, MODEL)
    before = (tmp_path / "model.safetensors").read_bytes()
    newer = MODEL + np.float32(1)
    facts = Released(client=3, era=1, step=10, sha256=model_sha256(newer), samples={})
    keep_released(tmp_path, POLICY, facts, newer)
    (tmp_path / "model.safetensors").write_bytes(before)
    with pytest.raises(DataError, match=r"the client was interrupted while it wrote"):
        read_finished(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"era": "1"}, {"step": None}, {"client": True}, {"samples": []}, {"more": 1}],
    ids=str,
)
def test_facts_that_nobody_wrote_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    keep_released(tmp_path, POLICY, FACTS, MODEL)
    path = tmp_path / RELEASED_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match="was not written by this version") as error:
        read_finished(tmp_path)
    assert error.value.exit_code == 4


def test_samples_of_another_version_are_refused(tmp_path: Path) -> None:
    facts = Released(client=0, era=0, step=1, sha256=FACTS.sha256, samples={"set": "digits"})
    keep_released(tmp_path, POLICY, facts, MODEL)
    with pytest.raises(DataError, match="was not written by this version"):
        evaluate_run(read_finished(tmp_path))


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(ConfigError, match=r"client\.model = ") as error:
            check_folder(folder, "client.model")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", [b"{}", b"[]", b'{"synthetic": null}', b'{"parameters": 3}'])
def test_a_task_without_a_size(task: bytes) -> None:
    with pytest.raises(ValueError, match="not a task"):
        tensor_entries(task)


def test_the_size_of_a_task() -> None:
    named = {"parameters": [{"name": "w", "shape": [3, 4]}, {"name": "b", "shape": []}]}
    assert tensor_entries(json.dumps(named).encode()) == 13
    assert tensor_entries(POLICY.task) == 24


CODE = """
import numpy as np
from torch import nn
from auror.learn.task import Task

class Rows(Task):
    input_shape = (3,)
    classes = 2
    def build(self):
        return nn.Sequential(nn.Linear(3, 2))
    def client_data(self, path, client):
        x = np.eye(3)[: client]
        return x, np.zeros(len(x), int) + (path is not None)
    def server_data(self, path):
        raise RuntimeError("a client has no samples of the server")
"""


def test_a_client_measures_by_its_task_s_own_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows_of_ours.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    task = PinnedTask(find_task("rows_of_ours:Rows"), TrainingParams()).to_bytes()
    model = np.array([0, 0, 0, 1, 1, 1, 0, 0], np.float32)  # always class 1
    learning = {"task": "rows_of_ours:Rows", "dataset": "", "data_dir": "", "data": "",
                "label_column": "", "range": "", "seed": 1, "device": "cpu"}  # fmt: skip
    facts = replace(FACTS, sha256=model_sha256(model), samples=learning)
    keep_released(tmp_path / "given", Deployment(7, task=task).policy, facts, model)
    run = read_finished(tmp_path / "given")
    assert evaluate_run(run)["accuracy"] == 0.0
    assert evaluate_run(run, tmp_path)["accuracy"] == 1.0


def test_a_client_s_card_claims_nothing_that_it_does_not_know(tmp_path: Path) -> None:
    keep_released(tmp_path, POLICY, FACTS, MODEL)
    run = replace(read_finished(tmp_path), task=json.dumps(NAMED).encode())
    page = card_markdown(card_json(run), "load")
    assert "not protected" not in page
    assert "Nobody was looked for" not in page
    assert "the operator's card says; `auror-client --account`" in page
