from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers_result import config

from auror.errors import ConfigError
from auror.experiments.config import Dropout, ExperimentConfig, RunName
from auror.experiments.options import experiment_config
from auror.learn.attacks import LabelFlip
from auror.learn.partition import Dirichlet, LabelShards
from auror.learn.tasks import choose_task
from auror.params import RoundParams
from auror.rules.choice import choose_rule
from auror.training.config import AfterFlag
from auror.training.detectors import choose_detector

PUBLISHED = choose_detector("published")


@pytest.mark.parametrize(
    "made",
    [
        config(),
        config(attack=None, malicious=0, partition=Dirichlet(0.5), data_dir=Path("data")),
        config(partition=LabelShards(2), clean_per_class=0),
        config(attack=LabelFlip(1, 7, 0.25), after_flag=AfterFlag.CONTINUE, runs=(RunName.CLEAN,)),
        config(detector=PUBLISHED, round_params=RoundParams(group_size=1, colluders=1), alpha=0.25),
        config(rule=choose_rule("krum")),
        config(rule=choose_rule("auror")),
    ],
)
def test_a_configuration_survives_json(made: ExperimentConfig) -> None:
    assert ExperimentConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_configuration_from_before_there_was_a_choice_has_all_clean_samples() -> None:
    assert "clean_per_class" not in config().to_dict()  # the name of recordings hangs on it
    assert ExperimentConfig.from_dict(config().to_dict()).clean_per_class == 10
    assert config(clean_per_class=5).to_dict()["clean_per_class"] == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clients": 1, "malicious": 0}, "clients = 1: choose 2 or more"),
        ({"malicious": 6}, "malicious = 6: choose 0 … 5"),
        ({"rounds": 0}, "rounds = 0"),
        ({"clean_per_class": -1}, "clean_per_class = -1: choose 0 or more"),
        ({"seed": -1}, "seed = -1"),
        ({"attack": None}, "malicious = 0 or an attack"),
        ({"runs": ()}, "runs is empty"),
        ({"detector": PUBLISHED}, "group_size = 1"),
        ({"alpha": -1.0}, "alpha = -1.0: choose above 0"),
        ({"tau": 1.0}, "tau = 1.0: choose between 0 and 1"),
        ({"round_params": RoundParams(group_size=7, colluders=1)}, "larger than the cohort"),
        ({"round_params": RoundParams(group_size=2, colluders=6)}, "lower colluders"),
        ({"dropout": Dropout(0.5, 0.4)}, "expect fewer dropouts"),
    ],
)
def test_what_cannot_work_is_one_line_with_the_fix(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_thresholds_do_not_matter_where_nothing_is_defended() -> None:
    params = RoundParams(group_size=7, colluders=6)
    assert config(runs=(RunName.CLEAN,), round_params=params).runs == (RunName.CLEAN,)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_dropout_is_a_fraction(fraction: float) -> None:
    with pytest.raises(ConfigError, match="dropout"):
        Dropout(before=fraction)


@pytest.mark.parametrize("wrong", [{"colour": 1}, {"runs": "clean"}])
def test_a_configuration_of_another_version_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        ExperimentConfig.from_dict({**config().to_dict(), **wrong})


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="mlp, cnn, resnet18"):
        ExperimentConfig(task=choose_task("vgg"))


@pytest.mark.parametrize(
    ("dials", "malicious"),
    [
        ({}, 9),
        ({"clients": 6}, 1),
        ({"clients": 2}, 1),
        ({"clients": 6, "attack": "none"}, 0),
        ({"clients": 6, "runs": "clean"}, 1),
        ({"clients": 6, "malicious": 0}, 0),
    ],
)
def test_who_attacks_if_nobody_says_how_many(dials: dict[str, object], malicious: int) -> None:
    assert experiment_config({"runs": "undefended", **dials}).malicious == malicious


@pytest.mark.parametrize(("dataset", "most"), [("mnist5k", 9), ("gtsrb", 42), ("", 9)])
def test_a_class_that_a_data_set_does_not_have_is_found_before_it_is_read(
    dataset: str, most: int
) -> None:
    options = {"dataset": dataset, "malicious": 3}
    with pytest.raises(ConfigError, match=rf"not have; classes are 0\.\.{most}"):
        experiment_config({**options, "attack": f"flip:1:{most + 1}"})
    assert experiment_config({**options, "attack": f"flip:1:{most}"})


def test_what_is_not_claimed_without_clean_samples_is_said() -> None:
    def said(**options: object) -> list[str]:
        return [line.partition(":")[0] for line in experiment_config(options).warnings]

    assert said() == []
    assert said(clean_per_class=0) == ["clean_per_class = 0"]
    assert said(clean_per_class=0, clients=12, malicious=2) == ["clean_per_class = 0", "12 clients"]
