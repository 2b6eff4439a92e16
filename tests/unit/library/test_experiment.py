"""An experiment in one call, with objects of one's own, and the folder that it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import own_tasks
import pytest

from auror import (
    Aggregate,
    Attack,
    DetectorKind,
    Experiment,
    PlainVerdict,
    ServerData,
    Task,
    simulate,
)
from auror.errors import ConfigError
from auror.experiments.runfolder import read_run
from auror.learn.attack import Floats, Labels
from auror.learn.task import Array

SCRIPT = """
import numpy as np, torch, auror

def rows(seed):
    y = np.arange(60) % 3
    return np.random.default_rng(seed).normal(size=(60, 6)) + 3 * np.eye(3, 6)[y], y

class Rows(auror.Task):
    input_shape, classes = (6,), 3
    def build(self):
        return torch.nn.Linear(6, 3)
    def client_data(self, path, client):
        return rows(client)
    def server_data(self, path):
        return auror.ServerData(*rows(100))

class Shift(auror.Attack):
    def poison(self, x, y, rng):
        return x, (y + 1) % 3

SHIFT = Shift()
if __name__ == "__main__":
    dials = {"clients": 6, "malicious": 1, "rounds": 1, "runs": "undefended"}
    made = auror.Experiment(task=Rows, attack=SHIFT, **dials)
    made.run()
    made.save("run")
"""
SMALL = {"dataset": "digits", "clients": 8, "malicious": 2, "rounds": 2}


def halve(updates: Floats, root: Floats | None) -> Aggregate:
    return Aggregate(updates.mean(axis=0, dtype=np.float64) / 2)


NOBODY = DetectorKind(lambda _dials: lambda _ledger, _invited: PlainVerdict())


class Blank(Attack):
    def poison(self, x: Floats, y: Labels, rng: np.random.Generator) -> tuple[Floats, Labels]:
        return np.zeros_like(x), y


def test_rule_and_attack_may_be_objects_and_the_folder_names_them(tmp_path: Path) -> None:
    experiment = Experiment(**SMALL, rule=halve, attack=Blank, runs="defended")
    said: list[str] = []
    result = experiment.run(lambda progress: said.append(progress.text()))
    assert len(said) == 2
    summary = experiment.summary()
    assert summary["rule"] == f"{__name__}:halve"
    assert set(result.poisoned) == set(result.malicious)
    assert min(result.poisoned.values()) > 100  # every sample that was not blank
    folder = experiment.save(tmp_path / "run")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"the rule {__name__}:halve sees every client" in page
    assert f"attacked, {__name__}:halve" in page
    assert "with AUROR" not in page
    saved = read_run(folder)
    assert str(saved.result.config.attack) == f"{__name__}:Blank"
    assert saved.result.config == experiment.config
    with pytest.raises(ConfigError, match="choose a new folder"):
        experiment.save(folder)


class Named(own_tasks.Rows):
    """With samples of its own."""

    def client_data(self, path: Path | None, client: int) -> tuple[Array, Array]:
        return own_tasks.rows(40, client)

    def server_data(self, path: Path | None) -> ServerData:
        return ServerData(*own_tasks.rows(60, 100), *own_tasks.rows(30, 101))


NAMED = Named()
SITES = {"clients": 6, "attack": "none", "rounds": 2, "runs": "clean"}


@pytest.mark.parametrize(("task", "name"), [(Named, "Named"), (NAMED, "NAMED")])
def test_a_task_may_be_given_and_the_folder_names_it(
    task: object, name: str, tmp_path: Path
) -> None:
    experiment = Experiment(task=task, **SITES)
    given = experiment.run()
    saved = read_run(experiment.save(tmp_path / "run"))
    assert saved.result.config == experiment.config
    assert saved.result.config.task.name == f"{__name__}:{name}"
    named = simulate(task=f"{__name__}:{name}", **SITES)
    assert named.summary()["model_sha256"] == given.summary()["model_sha256"]
    assert named.task == given.task == saved.task  # the same source, by name and as an object


def test_what_no_run_folder_could_name_is_refused_but_may_be_simulated() -> None:
    class Local(Named):
        pass

    words = (
        r"Local' has no name that could be found again, .*: define it at the top level of a file"
    )
    with pytest.raises(ConfigError, match=f"task .*{words}"):
        Experiment(task=Local, **SITES)
    assert simulate(task=Local, **SITES).outcomes
    kind = DetectorKind(lambda _dials: lambda _ledger, _invited: PlainVerdict())
    for dials, what in (
        ({"attack": lambda x, y, rng: (x, y)}, "attack '.*lambda>' has no name"),
        ({"rule": lambda updates, _root: Aggregate(updates[0])}, "rule '.*lambda>' has no name"),
        ({"detector": kind}, r"detector '.*DetectorKind\(\)' has no name"),
    ):
        with pytest.raises(ConfigError, match=what):
            Experiment(**SMALL, **dials)


def test_a_kind_of_detector_is_named_after_the_variable_that_holds_it() -> None:
    config = Experiment(**SMALL, group_size=2, colluders=1, detector=NOBODY).config
    assert config.detector.name == f"{__name__}:NOBODY"


def test_a_script_names_its_own_objects_as_others_find_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT, encoding="utf-8")
    for words in (["mine.py"], ["-m", "auror.cli", "evaluate", "run"]):
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["task"], config["attack"]) == ("mine:Rows", "mine:SHIFT")
    assert "accuracy" in done.stdout


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (lambda: None, r"is a function \(\): give an object or a subclass of auror.Task"),
        (Task, r"task 'auror.learn.task:Task': write its build\(self\)"),
        ("resnet", "task 'resnet' is not known"),
    ],
)
def test_what_is_no_task(task: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        simulate(task=task, **SITES)


def test_one_call_gives_the_result_of_the_command() -> None:
    one = simulate(**SMALL, group_size=2, colluders=1, runs="defended", aggregation="plain")
    assert one.defended is not None
    assert one.summary()["rule"] == "auror"
    assert 0 < one.outcomes[next(iter(one.outcomes))].final.accuracy < 1


@pytest.mark.parametrize(
    ("dials", "words"),
    [
        ({"rouns": 3}, "rouns is no dial"),
        ({"rule": 3}, "rule 'builtins:int"),
        ({"attack": 3}, "is int: give a subclass of auror.Attack"),
    ],
)
def test_bad_dials(dials: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Experiment(**{**SMALL, **dials})


def test_nothing_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="call run"):
        Experiment(**SMALL, group_size=2, colluders=1).save(tmp_path)
    with pytest.raises(ConfigError, match="not both"):
        Experiment(Experiment(**SMALL, group_size=2, colluders=1).config, rounds=2)
