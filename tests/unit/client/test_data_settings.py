"""Which samples a client's settings select."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from auror_client.config import ClientConfig, load_config
from auror_client.trainer import _from_loader, make_trainers
from structlog.testing import capture_logs
from torch import nn

from auror.deployment.settings import to_toml
from auror.errors import ConfigError, DataError
from auror.ids import ClientId
from auror.learn import evaluate
from auror.learn.samples import read_samples
from auror.learn.task import Task
from auror.programs.enrol import Enrolment, terms_of


@pytest.mark.parametrize("layer", ["file", "environment", "flag"])
def test_a_named_path_is_meant(tmp_path: Path, layer: str) -> None:
    path = tmp_path / "client.toml"
    path.write_text('[data]\npath = "own.npz"\n' if layer == "file" else "")
    environment = {"AUROR_CLIENT__DATA__PATH": "own.npz"} if layer == "environment" else {}
    flags = ['data.path="own.npz"'] if layer == "flag" else []
    config = load_config(path, environment, flags)
    assert (config.data.dataset, config.data.path) == ("own", "own.npz")


def test_printed_settings_select_the_same_data(tmp_path: Path) -> None:
    chosen = (["data.path=own.npz"], [], ["data.dataset=synthetic"], ["data.task=own:Task"])
    for flags, dataset in zip(chosen, ("own", "mnist5k", "synthetic", ""), strict=True):
        config = load_config(None, {}, flags)
        path = tmp_path / "printed.toml"
        path.write_text(to_toml(config))
        assert load_config(path, {}, []).data == config.data
        assert config.data.dataset == dataset


@pytest.mark.parametrize(
    "flags",
    [
        ["data.path=a.npz", "data.dataset=mnist5k"],
        ["data.path=a.npz", "data.dataset=synthetic"],
        ["data.dataset=own"],
        ["data.dataset=own", 'data.path=""'],
    ],
)
def test_settings_that_contradict_each_other_are_both_named(flags: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, flags)
    assert "data.path" in str(caught.value)
    assert "data.dataset" in str(caught.value)


SHARED = ["data.data_dir=there", "data.partition=shards:2", "data.parts=3", "data.part=0"]
ATTACK = ["data.seed=2", 'data.malicious="0"']
OWN = ["data.label_column=y", 'data.range="0:1"']


@pytest.mark.parametrize(
    ("choice", "flag"),
    [
        *(("data.path=a.npz", flag) for flag in SHARED + ATTACK),
        *(("data.dataset=synthetic", flag) for flag in SHARED + ATTACK + OWN),
        *(("data.dataset=mnist5k", flag) for flag in [*OWN, SHARED[0], ATTACK[1]]),
        ("data.dataset=synthetic", "client.device=cuda"),
        ("data.dataset=synthetic", "data.task=a:b"),
        ("faults.dropout=0", "faults.seed=3"),
        ('swarm.clients="3"', "client.training_threads=2"),
    ],
)
def test_a_setting_without_effect_is_refused(choice: str, flag: str) -> None:
    with pytest.raises(ConfigError, match="has no effect") as caught:
        load_config(None, {}, [choice, flag])
    assert flag.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    "flags",
    [
        *(["data.dataset=mnist", flag] for flag in [*SHARED, ATTACK[0]]),
        ["data.attack=flip:4:9", ATTACK[1]],
        ["faults.dropout=0.1", "faults.seed=3"],
        ['swarm.clients="0,3"', "client.training_threads=2"],
        ["data.path=a.npz", "data.attack=flip:4:9", *ATTACK],
        ["data.path=a.csv", *OWN],
    ],
)
def test_a_setting_with_effect_is_taken(flags: list[str]) -> None:
    load_config(None, {}, flags)


# Trainers on own samples --------------------------------------------------------------------------

X = np.random.default_rng(1).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
Y = np.arange(40) % 4


def save(path: Path, x: np.ndarray = X, y: np.ndarray = Y) -> Path:
    np.savez(path, x=x, y=y)
    return path


def task_of(path: Path) -> bytes:
    return terms_of(Enrolment(clients=4, data=path, clean_per_class=0)).task


def trained(folder: Path, task: bytes, model_seed: int, *flags: str) -> np.ndarray:
    config = load_config(None, {}, [f'data.path="{folder}"', *flags])
    trainer = make_trainers(config, [ClientId(3)], 4, task, None)[ClientId(3)]
    dim = 64 * 64 + 64 + 64 * 4 + 4
    model = np.random.default_rng(model_seed).normal(0, 0.1, dim).astype(np.float32)
    return trainer.train(task, model, seed=5)


def test_pixels_in_both_scales_train_the_same(tmp_path: Path) -> None:
    operator, whole = save(tmp_path / "operator.npz"), save(tmp_path / "whole.npz")
    parts = save(tmp_path / "parts.npz", X.astype(np.float32) / 255)
    task = task_of(operator)
    np.testing.assert_allclose(trained(whole, task, 1), trained(parts, task, 1), atol=1e-5)
    shifted = save(tmp_path / "shifted.npz", X.astype(np.float32) / 51)
    np.testing.assert_allclose(
        trained(whole, task, 1), trained(shifted, task, 1, 'data.range="0:5"'), atol=1e-5
    )


def test_another_scale_is_refused_with_the_numbers(tmp_path: Path) -> None:
    task = task_of(save(tmp_path / "operator.npz"))
    standardised = save(tmp_path / "own.npz", (X / 255 - 0.5) / 0.25)
    with pytest.raises(DataError, match=r"lie in -2 … 2 \(median .* little of the task's 0 … 255"):
        trained(standardised, task, 1)


def test_an_attacker_with_own_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz")
    task = task_of(path)
    honest = trained(path, task, 1)
    assert np.array_equal(honest, trained(path, task, 1))
    with capture_logs() as logs:
        assert not np.array_equal(honest, trained(path, task, 1, "data.attack=flip:1:2"))
    (said,) = [line for line in logs if line["log_level"] == "warning"]
    assert (said["client"], said["attack"], said["changed"]) == (3, "flip:1:2", int((Y == 1).sum()))
    with pytest.raises(ConfigError, match="class"):
        trained(path, task, 1, "data.attack=flip:1:4")


def test_each_client_of_a_process_has_its_own_path(tmp_path: Path) -> None:
    task = task_of(save(tmp_path / "operator.npz"))
    for client in (0, 1):
        save(tmp_path / f"{client:03d}.npz", X[client::2], Y[client::2])
    config = load_config(None, {}, [f'data.path="{tmp_path}/{{client}}.npz"'])
    trainers = make_trainers(config, [ClientId(0), ClientId(1)], 4, task, None)
    model = np.zeros(64 * 64 + 64 + 64 * 4 + 4, dtype=np.float32)
    first, second = (trainers[ClientId(i)].train(task, model, 1) for i in (0, 1))
    assert not np.array_equal(first, second)
    config = load_config(None, {}, [f'data.path="{tmp_path}/000.npz"'])
    with pytest.raises(ConfigError, match=r"2 clients would train on the same samples"):
        make_trainers(config, [ClientId(0), ClientId(1)], 4, task, None)


def test_what_the_operator_s_file_states_reads_back(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz")
    spec = read_samples(path).spec()
    assert (spec.input_shape, spec.classes, spec.standardisation.range) == ((1, 8, 8), 4, (0, 255))


def test_an_attack_that_nobody_plays_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz")
    with pytest.raises(ConfigError, match=r"flip:1:2 has no effect: data\.malicious names none"):
        trained(path, task_of(path), 1, "data.attack=flip:1:2", 'data.malicious="5"')


@pytest.mark.parametrize("flag", [*SHARED, *OWN, "data.dataset=digits", "data.dataset=mnist5k"])
def test_what_a_task_with_loaders_does_not_look_at_is_refused(tmp_path: Path, flag: str) -> None:
    class Loads(Task):
        input_shape = (1, 8, 8)
        classes = 4

        def build(self) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))

        def client_data(self, path: Path | None, client: int) -> tuple[np.ndarray, np.ndarray]:
            return X, Y

    config = ClientConfig()
    name, _equals, value = flag.removeprefix("data.").partition("=")
    told = {name: tomllib.loads(f"v = {value}")["v"] if value[0] in '"-0123456789' else value}
    changed = config.model_copy(update={"data": config.data.model_copy(update=told)})
    assert _from_loader(config, [ClientId(3)], Loads()) is not None
    with pytest.raises(ConfigError, match=f"data.{name} = .* has no effect as .* loads its own"):
        _from_loader(changed, [ClientId(3)], Loads())


def test_the_clients_of_a_process_look_at_the_signed_samples_once_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = terms_of(Enrolment(clients=4, data=save(tmp_path / "operator.npz"), clean_per_class=5))
    for client in (0, 1):
        save(tmp_path / f"{client:03d}.npz", X[client::2], Y[client::2])
    config = load_config(None, {}, [f'data.path="{tmp_path}/{{client}}.npz"'])
    looked = []
    found = evaluate.reference_means
    monkeypatch.setattr(
        evaluate, "reference_means", lambda *known: (looked.append(known), found(*known))[1]
    )
    clients = [ClientId(0), ClientId(1)]
    trainers = make_trainers(config, clients, 4, terms.task, terms.clean)
    models = [np.asarray(seed, np.float32) * terms.first_models[0] for seed in (1, 2)]
    for model in models:
        means = [trainers[client].class_means(terms.task, model.copy()) for client in clients]
        assert means[0] is means[1]
        assert means[0] is not None
        assert means[0].means is not None
    assert len(looked) == len(models)
    unsigned = make_trainers(config, clients, 4, terms.task, None)[clients[0]]
    bare = unsigned.class_means(terms.task, models[0])
    assert bare is not None
    assert bare.means is None
