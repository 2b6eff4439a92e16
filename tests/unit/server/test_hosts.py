"""What the server puts behind a campaign: a real model, with or without clean samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from auror_server.config import LearningSection, load_config
from auror_server.hosts import make_host

from auror.deployment.clean_samples import CleanSamples
from auror.errors import ConfigError
from auror.learn.architectures import Mlp
from auror.learn.datasets import load_dataset
from auror.learn.pinned import PinnedTask
from auror.learn.training import TrainingParams
from auror.params import RoundParams
from auror.round.label_rows import MeansSource, rows_of_weights
from auror.training.observations import label_rows

TASK = PinnedTask(Mlp((1, 8, 8), 10), TrainingParams()).to_bytes()


def test_without_clean_samples_the_output_weights_stand_in() -> None:
    data = load_dataset("digits", seed=1)
    signed = CleanSamples(data.clean_x, data.clean_y)
    with_them, without = (
        make_host(LearningSection(dataset="digits"), TASK, clean) for clean in (signed, None)
    )
    model = without.initial(0)
    np.testing.assert_array_equal(model, with_them.initial(0))
    assert without.class_means(model) is None
    assert without.output is not None
    found = label_rows(without, model, RoundParams())
    assert found == rows_of_weights(without.output, model, 4)
    assert label_rows(with_them, model, RoundParams()).source is MeansSource.CLEAN_SAMPLES
    assert without.evaluate(model) == with_them.evaluate(model)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((10, 1, 28, 28)), range(10), r"clean samples of shape \(1, 28, 28\) for a task"),
        (np.zeros((9, 1, 8, 8)), range(9), "no clean sample of class 9"),
        (np.zeros((11, 1, 8, 8)), range(11), "a class too many"),
    ],
)
def test_signed_samples_that_do_not_fit_the_task(x: np.ndarray, y: range, match: str) -> None:
    clean = CleanSamples(x.astype(np.float32), np.array(y))
    with pytest.raises(ConfigError, match=match):
        make_host(LearningSection(dataset="digits"), TASK, clean)


def test_samples_that_do_not_fit_the_task() -> None:
    with pytest.raises(
        ConfigError, match=r"mnist5k: samples of shape \(1, 28, 28\) .* \(1, 8, 8\)"
    ):
        make_host(LearningSection(dataset="mnist5k"), TASK, None)


def test_metrics_that_would_fail_after_the_first_round_fail_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def metrics(_task: Mlp, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        seen.append((outputs.shape, targets.shape))
        raise KeyError("recall")

    monkeypatch.setattr(Mlp, "metrics", metrics)
    with pytest.raises(ConfigError, match=r"metrics\(\) failed: .*KeyError: 'recall'"):
        make_host(LearningSection(dataset="digits"), TASK, None)
    ((outputs, targets),) = seen
    assert outputs == (*targets, 10)
    assert targets[0] > 100


def test_a_load_test_has_no_model_behind_it() -> None:
    host = make_host(LearningSection(), b'{"synthetic":9}', None)
    assert (host.dim, host.task, host.output) == (9, b'{"synthetic":9}', None)


@pytest.mark.parametrize(
    ("beside", "flag"),
    [
        ("session.defend=false", "session.after_flag=continue"),
        ("learning.data=own.npz", "learning.data_dir=there"),
        ("learning.dataset=digits", "learning.data_dir=there"),
        ("learning.dataset=mnist", "learning.label_column=y"),
        ("learning.dataset=mnist", 'learning.range="0:1"'),
    ],
)
def test_a_setting_without_effect_is_refused(beside: str, flag: str) -> None:
    name = flag.partition("=")[0]
    with pytest.raises(ConfigError, match=f"{name} = .* has no effect with .*: leave it out"):
        load_config(None, {}, [beside, flag])


@pytest.mark.parametrize(
    ("flags", "dataset"),
    [
        ([], "mnist5k"),
        (["learning.task=own:Task"], ""),
        (["learning.task=own:Task", "learning.dataset=mnist5k"], "mnist5k"),
        (["learning.task=own:Task", "learning.data=own.npz"], "own"),
    ],
)
def test_a_data_set_that_was_asked_for_can_be_told_beside_a_task_of_ones_own(
    flags: list[str], dataset: str
) -> None:
    assert load_config(None, {}, flags).learning.dataset == dataset


def test_a_load_test_has_no_layers_to_open() -> None:
    config = load_config(None, {}, ["statistics.output_layer=true"])
    assert config.campaign().plan.output_layer
    with pytest.raises(ConfigError, match=r"statistics\.output_layer = true has no effect"):
        config.campaign(synthetic=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['session.detector="direction"'], "reads statistics.output_layer: turn it on"),
        (['session.detector="published"'], "a run known to be honest"),
        (['session.detector="decodet"'], "did you mean decoded"),
        (['session.detector="no_such_module:rule"'], "there is no module no_such_module"),
        (['session.detector="direction"', "session.defend=false"], "no effect with session.defend"),
    ],
)
def test_a_detector_that_cannot_be_used_is_refused_at_start(
    settings: list[str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(None, {}, settings).campaign()


def test_a_detector_is_the_one_that_the_settings_name() -> None:
    flags = ['session.detector="direction"', "statistics.output_layer=true"]
    chosen = load_config(None, {}, flags).campaign()
    assert chosen.detector is not load_config(None, {}, []).campaign().detector
    assert chosen.plan.output_layer
