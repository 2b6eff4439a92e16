"""Tasks of many classes: what is signed follows them, up to a limit that is said beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.errors import ConfigError
from auror.experiments.experiment import run_experiment
from auror.experiments.options import experiment_config
from auror.experiments.prepared import Prepared
from auror.params import LABEL_PART, MAX_CLASSES, MAX_STATISTICS, PLAN_PARTS, PlanCaps, RoundParams
from auror.programs.enrol import Enrolment, synthetic_terms, terms_of

CHALLENGE = RoundParams().challenge_rows


def samples(path: Path, classes: int) -> Path:
    rng = np.random.default_rng(classes)
    y = np.repeat(np.arange(classes), 16)
    centres = rng.normal(size=(classes, 6)) * 3
    np.savez(path, x=(centres[y] + rng.normal(size=(len(y), 6))).astype(np.float32), y=y)
    return path


def settings(path: Path) -> dict[str, object]:
    return {
        "data": str(path), "clients": 4, "malicious": 1, "attack": "flip:0:1", "group_size": 2,
        "rounds": 1, "clean_per_class": 2, "runs": "defended", "aggregation": "plain",
    }  # fmt: skip


@pytest.mark.parametrize("classes", [46, 100])
def test_a_defended_run_takes_more_statistics_where_classes_are_many(
    tmp_path: Path, classes: int
) -> None:
    found = run_experiment(
        experiment_config(settings(samples(tmp_path / "own.npz", classes))), lambda _: None
    )
    assert found.defended is not None
    (record,) = found.defended.records
    assert record.aborted is None
    assert record.opened[0].total.size == classes**2 + CHALLENGE


def test_what_is_signed_follows_the_classes(tmp_path: Path) -> None:
    def signed(classes: int, parts: str | None = None) -> PlanCaps:
        path = samples(tmp_path / f"{classes}.npz", classes)
        return terms_of(
            Enrolment(clients=4, data=path, clean_per_class=2, rounds=1, trainings=1, parts=parts)
        ).caps

    assert signed(45) == PlanCaps()
    assert signed(46) == replace(PlanCaps(), max_statistics=46**2 + CHALLENGE)
    layer = signed(46, "label-rows,output-layer").max_statistics - 46**2 - CHALLENGE
    assert layer > 0
    assert layer % 46 == 0
    assert signed(46, "count-sketch") == PlanCaps(parts=("count-sketch",))
    with pytest.raises(ConfigError, match=f"{MAX_CLASSES + 1} classes: .* at most {MAX_CLASSES} "):
        signed(MAX_CLASSES + 1)
    assert signed(MAX_CLASSES + 1, "count-sketch").max_statistics == 2048
    test = synthetic_terms(50_000, RoundParams(group_size=2, colluders=0), 1, classes=60)
    assert test.caps.max_statistics == 3600 + CHALLENGE


def test_no_policy_is_made_for_any_number_of_statistics() -> None:
    asked = [LABEL_PART, "output-layer"]
    at_most = MAX_STATISTICS - MAX_CLASSES**2 - CHALLENGE
    made = PlanCaps.reading(asked, MAX_CLASSES, at_most, CHALLENGE, PLAN_PARTS)
    assert made == PlanCaps(parts=PLAN_PARTS, max_statistics=MAX_STATISTICS)
    with pytest.raises(ConfigError, match=f"{MAX_STATISTICS + 1} statistics .*output-layer"):
        PlanCaps.reading(asked, MAX_CLASSES, at_most + 1, CHALLENGE)


def test_too_many_classes_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    given = settings(samples(tmp_path / "own.npz", MAX_CLASSES + 1))
    told: list[object] = []
    with pytest.raises(ConfigError, match=f"at most {MAX_CLASSES} "):
        run_experiment(experiment_config({**given, "runs": "clean,defended"}), told.append)
    assert not told
    words = [w for name, v in given.items() for w in (f"--{name.replace('_', '-')}", str(v))]
    checked = CliRunner().invoke(main, ["simulate", *words, "--check"])
    assert checked.exit_code == 2
    assert f"✗ plan: {MAX_CLASSES + 1} classes" in checked.output
    plain = {"data": given["data"], "clients": 4, "attack": "none", "runs": "clean"}
    Prepared.of(experiment_config(plain)).check_statistics()  # nothing is opened
