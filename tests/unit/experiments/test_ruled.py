"""A defended run under a rule that sees every update: the command, the library, the run folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.errors import ConfigError
from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.experiment import run_experiment
from auror.experiments.options import experiment_config, options_of, without_effect
from auror.experiments.prepared import Prepared
from auror.experiments.result import ExperimentResult
from auror.experiments.runfolder import read_run, summary_of, write_run

SMALL = {"dataset": "digits", "clients": 10, "malicious": 3, "rounds": 3, "colluders": None}


def run(**dials: object) -> tuple[ExperimentConfig, ExperimentResult]:
    config = experiment_config({**SMALL, **dials})
    return config, run_experiment(config, lambda _progress: None)


def test_multi_krum_sees_who_sends_the_opposite_and_nothing_is_private() -> None:
    _config, result = run(rule="multi-krum", attack="sign", runs="undefended,defended")
    summary = result.summary()
    assert (summary["rule"], summary["plaintext_updates"]) == ("multi-krum", True)
    assert (summary["tpr"], summary["fpr"]) == (1.0, 0.0)
    left_out = {int(c) for c, part in summary["left_out"].items() if part == 1.0}
    assert left_out == set(summary["malicious"])
    assert summary["flagged"] is None
    privacy = summary["privacy"]
    assert (privacy["statistic_recovery"], privacy["update_recovery"]) == (1.0, 1.0)
    assert summary["rounds_total"] == 3
    final = {run: outcome.final.accuracy for run, outcome in result.outcomes.items()}
    assert final[RunName.DEFENDED] > final[RunName.UNDEFENDED]


def test_the_folder_of_such_a_run_reads_back(tmp_path: Path) -> None:
    config, result = run(rule="fltrust", runs="defended")
    write_run(tmp_path, result, Prepared.of(config).host.task, {})
    saved = read_run(tmp_path)
    assert saved.result.config == config
    assert saved.result.under_rule == result.under_rule
    assert saved.result.defended is None
    assert summary_of(saved.result, tmp_path) == saved.summary


def test_the_mean_as_a_rule_is_the_undefended_run() -> None:
    _config, result = run(rule="mean", runs="undefended,defended")
    undefended, defended = (result.outcomes[r] for r in (RunName.UNDEFENDED, RunName.DEFENDED))
    np.testing.assert_array_equal(undefended.model, defended.model)
    assert result.rates() == (None, None)


OWN = """
import numpy as np
from auror.learn.attack import Attack
from auror.rules.robust import Aggregate
from auror.training.detectors import PlainVerdict

def clip(updates, root):
    norms = np.linalg.norm(updates, axis=1, keepdims=True)
    limit = np.median(norms)
    return Aggregate((updates * np.minimum(1, limit / norms)).mean(axis=0, dtype=np.float64))

def nobody(ledger, invited):
    return PlainVerdict()

class Louder(Attack):
    def forge(self, known):
        return {client: -5 * update for client, update in known.own.items()}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"own_of_{request.node.originalname}"
    Path(f"{name}.py").write_text(OWN, encoding="utf-8")
    return name


def invoke(*words: str) -> str:
    small = ["--dataset", "digits", "--clients", "10", "--malicious", "3", "--rounds", "2"]
    found = CliRunner().invoke(main, ["simulate", *small, *words])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_ones_own_rule_and_attack_through_the_command_line(own: str) -> None:
    words = ["--rule", f"{own}:clip", "--attack", f"{own}:Louder", "--runs", "undefended,defended"]
    summary = json.loads(invoke(*words, "--format", "json"))
    assert summary["rule"] == f"{own}:clip"
    assert summary["left_out"] is None
    assert summary["defended"]["accuracy"] > summary["undefended"]["accuracy"]
    said = invoke(*words)
    assert "privacy:   none: the rule sees every client's update" in said
    assert f"rule:      {own}:clip" in said


def test_ones_own_detector_through_the_command_line(own: str) -> None:
    words = ["--detector", f"{own}:nobody", "--group-size", "2", "--colluders", "1"]
    summary = json.loads(invoke(*words, "--runs", "defended", "--format", "json"))
    assert summary["flagged"] == []
    assert summary["plaintext_updates"] is False


@pytest.mark.parametrize(
    ("dials", "words"),
    [
        ({"rule": "krum", "group_size": 5}, "group_size = 5 has no effect with rule = krum: leave"),
        ({"rule": "mean", "colluders": 3}, "colluders = 3 has no effect with rule = mean"),
        (
            {"rule": "mean", "detector": "decoded"},
            "detector = decoded has no effect",
        ),
        ({"tau": 0.4}, "tau = 0.4 has no effect with detector = decoded"),
        ({"flag_small_cohorts": True, "clients": 15}, "flag_small_cohorts = True has no effect"),
        (
            {"flag_small_cohorts": True, "detector": "direction"},
            "flag_small_cohorts = True has no effect with detector = direction",
        ),
        ({"runs": "clean", "rule": "krum"}, "rule = krum has no effect without the defended run"),
        ({"rule": "mean", "attack": "sign", "group_size": 2}, "group_size = 2 has no effect"),
        ({"rule": "mean", "attack": "sign", "clean_per_class": 5}, "clean_per_class = 5 has no"),
        ({"runs": "undefended", "attack": "flip:4:9+null", "group_size": 2}, "group_size = 2 has"),
        (
            {"detector": "direction", "attack": "flip:4:9+null", "clean_per_class": 5},
            "clean_per_class = 5 has no effect with detector = direction",
        ),
        ({"rule": "krum", "colluders": 5}, "leave no majority"),
        ({"rule": "fltrust", "clean_per_class": 0}, "clean_per_class = 0"),
    ],
)
def test_an_option_without_effect_is_an_error(dials: dict[str, object], words: str) -> None:
    given = {name: value for name, value in SMALL.items() if value is not None}
    with pytest.raises(ConfigError, match=words):
        experiment_config({**given, **dials})


@pytest.mark.parametrize(
    "dials",
    [
        {"rule": "krum", "colluders": 3},
        {"rule": "fltrust", "clean_per_class": 5},
        {"detector": "published", "tau": 0.4, "group_size": 1},
        {"rule": "mean", "attack": "flip:4:9+null", "clean_per_class": 5},
        {"rule": "mean", "attack": "flip:4:9+null", "quantisation_bits": 2, "group_size": 1},
    ],
)
def test_what_a_rule_or_detector_looks_at_has_an_effect(dials: dict[str, object]) -> None:
    assert not list(without_effect(options_of(dials), dials))
