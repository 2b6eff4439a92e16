"""An experiment in one call, with objects of one's own, and the folder that it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auror import Aggregate, Attack, Experiment, simulate
from auror.errors import ConfigError
from auror.experiments.runfolder import read_run
from auror.learn.attack import Floats, Labels

SMALL = {"dataset": "digits", "clients": 8, "malicious": 2, "rounds": 2}


def halve(updates: Floats, root: Floats | None) -> Aggregate:
    return Aggregate(updates.mean(axis=0, dtype=np.float64) / 2)


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
