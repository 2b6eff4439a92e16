"""Samples of a task: its own loaders, their checks, and who has which in a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_tasks import Regression, Rows, Sites, SmallResNet, amounts, images, rows
from torch import nn

from auror.errors import ConfigError, DataError
from auror.learn.own_data import DataSource
from auror.learn.partition import Dirichlet, Iid
from auror.learn.standardisation import Standardisation
from auror.learn.task import ServerData, Task
from auror.learn.task_data import AsLoaded, client_side, server_side, simulated
from auror.learn.tasks import choose_task
from auror.params import DATASET


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    for name, count, seed in [*((f"site-{i}", 10 + i, i) for i in range(3)), ("server", 60, 9)]:
        x, y = images(count, seed)
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    return tmp_path


def test_a_task_with_loaders_deals_what_each_client_has(sites: Path) -> None:
    found = simulated(choose_task("own_tasks:Sites"), DataSource(path=sites), 1, 10, 3, Iid())
    assert isinstance(found.partition, AsLoaded)
    shares = found.partition.split(found.data.train_y, 3, 1)
    assert [len(share) for share in shares] == [10, 11, 12]
    for client, share in enumerate(shares):
        x, y = images(10 + client, client)
        np.testing.assert_array_equal(found.data.train_y[share], y)
        inputs = SmallResNet.standardisation.apply(x)
        np.testing.assert_array_equal(found.data.train_x[share], inputs)
    assert (len(found.data.test_y), len(found.data.clean_y)) == (20, 40)
    none = simulated(choose_task("own_tasks:Sites"), DataSource(path=sites), 1, 0, 3, Iid())
    assert not len(none.data.clean_y)
    with pytest.raises(ConfigError, match=r"dirichlet:1\.0 has no effect"):
        simulated(choose_task("own_tasks:Sites"), DataSource(path=sites), 1, 10, 3, Dirichlet(1.0))
    with pytest.raises(DataError, match=r"client_data failed: own_tasks\.py, line .*site-3"):
        simulated(choose_task("own_tasks:Sites"), DataSource(path=sites), 1, 10, 4, Iid())


@pytest.mark.parametrize(
    ("name", "made"), [("Rows", rows), ("SmallResNet", images), ("Regression", amounts)]
)
def test_a_task_without_loaders_reads_a_file(name: str, made: Any, tmp_path: Path) -> None:
    x, y = made(200, 3)
    np.savez(tmp_path / "all.npz", x=x, y=y)
    source = DataSource(path=tmp_path / "all.npz")
    each = 0 if name == "Regression" else 5
    found = simulated(choose_task(f"own_tasks:{name}"), source, 1, each, 4, Iid())
    clean = each * (found.task.classes or 0)
    assert (len(found.data.test_y), len(found.data.clean_y)) == (40, clean)
    everything = np.concatenate([found.data.train_y, found.data.test_y, found.data.clean_y])
    np.testing.assert_allclose(np.sort(everything), np.sort(y))
    raw = found.task.standardisation.undo(found.data.train_x)
    assert np.abs(raw).max() == pytest.approx(np.abs(x.astype(float)).max(), rel=0.2)
    server = server_side(found.task, source, 1, each)
    assert (len(server.test_y) + len(server.clean_y), len(server.train_y)) == (200, 0)


def test_numbers_cannot_be_dealt_by_label(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="deals by label"):
        simulated(choose_task("own_tasks:Regression"), DataSource(), 1, 0, 4, Dirichlet(1.0))


def loading(x: object, y: object) -> Task:
    class Loads(Rows):
        standardisation = Standardisation()

        def client_data(self, path: Path | None, client: int) -> Any:
            return x, y

        def server_data(self, path: Path | None) -> ServerData:
            return ServerData(x, y)  # type: ignore[arg-type]

    return Loads()


GOOD = np.ones((4, 6)), np.array([0, 1, 2, 1])


@pytest.mark.parametrize(
    ("x", "y", "hint"),
    [
        (np.ones((4, 5)), GOOD[1], r"x must be \(samples, 6\)"),
        (GOOD[0], np.zeros(3), "and y as long"),
        (np.full((4, 6), np.nan), GOOD[1], "not finite"),
        (GOOD[0], np.array([0, 1, 3, 1]), r"y\[2\] is 3: labels are whole numbers 0 … 2"),
        (GOOD[0], np.array([0, 0.5, 1, 1]), r"y\[1\] is 0.5"),
        (GOOD[0], np.zeros((4, 1), int), r"y is \(4, 1\)"),
        (np.array([["a"] * 6] * 4), GOOD[1], "give real numbers"),
        (np.ones((0, 6)), np.zeros(0), "no samples"),
        (3, 4, "x must be"),
    ],
)
def test_what_a_loader_gives_is_checked(x: object, y: object, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        client_side(loading(x, y), None, 0)
    with pytest.raises(DataError, match=hint):
        server_side(loading(x, y), DataSource(), 1, 0)


def test_a_loader_that_gives_good_samples() -> None:
    found = client_side(loading(*GOOD), None, 0)
    assert found is not None
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)
    assert client_side(Rows(), None, 0) is None


def test_clean_samples_of_a_task_without_classes_are_refused() -> None:
    class Clean(Regression):
        def build(self) -> nn.Module:
            return nn.Linear(5, 1)

        def server_data(self, path: Path | None) -> ServerData:
            x, y = amounts(10, 1)
            return ServerData(x, y, x, y)

    with pytest.raises(DataError, match="clean samples show classes"):
        server_side(Clean(), DataSource(), 1, 100)
    assert len(server_side(Clean(), DataSource(), 1, 0).test_y) == 10


@pytest.mark.parametrize(
    ("told", "each", "words"),
    [
        ({"dataset": "digits"}, 10, "dataset = digits has no effect: .* loads its own samples"),
        ({"dataset": DATASET}, 10, f"dataset = {DATASET} has no effect"),
        ({"data_dir": Path("x")}, 10, "data_dir = x has no effect"),
        ({"label_column": "y"}, 10, "label_column = y has no effect"),
        ({"range": "0:1"}, 10, "range = 0:1 has no effect"),
        ({}, 5, "clean_per_class = 5 has no effect"),
    ],
)
def test_what_a_task_with_loaders_does_not_look_at_is_refused(
    told: dict[str, Any], each: int, words: str, sites: Path
) -> None:
    class Anywhere(Sites):
        def server_data(self, path: Path | None) -> ServerData:
            return super().server_data(sites)

    source = DataSource(**{"path": None if "dataset" in told else sites, **told})
    with pytest.raises(ConfigError, match=words):
        server_side(Anywhere(), source, 1, each)


class Strict(Rows):
    def client_data(self, path: Path | None, client: int) -> Any:
        raise FileNotFoundError(f"no samples for {client}")


@pytest.mark.parametrize(("path", "ends"), [(None, r" \(no --data was given\)$"), (Path("x"), "$")])
def test_a_loader_that_fails_without_a_path_is_said_to_have_none(
    path: Path | None, ends: str
) -> None:
    with pytest.raises(DataError, match=f"client_data failed: .*no samples for 3{ends}"):
        client_side(Strict(), path, 3)
