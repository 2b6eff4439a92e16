"""A check writes nothing where a data set is looked for; a download that fails leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from torchvision.datasets import GTSRB, MNIST

from auror.cli import main
from auror.deployment.checks import Checklist
from auror.errors import DataError
from auror.learn.datasets import load_dataset
from auror.learn.drawn_signs import draw_signs

SETS = {"gtsrb": (GTSRB, "gtsrb/GTSRB"), "mnist": (MNIST, "MNIST/raw")}


def offline(monkeypatch: pytest.MonkeyPatch, name: str, made: str) -> list[Path]:
    """No network: a download makes its folder and fails. Returns where one was tried."""
    tried: list[Path] = []

    def download(self: GTSRB | MNIST) -> None:
        folder = Path(self.root) / made
        tried.append(folder)
        folder.mkdir(parents=True)
        raise OSError("Name or service not known")

    monkeypatch.setattr(SETS[name][0], "download", download)
    return tried


def check(name: str, folder: Path) -> str:
    done = CliRunner().invoke(
        main, ["simulate", "--dataset", name, "--data-dir", str(folder), "--check"]
    )
    assert done.exit_code == 4, done.output
    return done.stdout


@pytest.mark.parametrize(("name", "made"), [("gtsrb", "gtsrb"), ("mnist", "MNIST/raw")])
def test_what_is_not_there_is_neither_made_nor_downloaded_by_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: str
) -> None:
    tried = offline(monkeypatch, name, made)
    said = check(name, tmp_path / "some" / "typo")
    assert f"'{name}' is not in {tmp_path}/some/typo: a start would download it there" in said
    assert not tried
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "made"), [("gtsrb", "gtsrb"), ("mnist", "MNIST/raw")])
def test_a_failed_download_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: str
) -> None:
    tried = offline(monkeypatch, name, made)
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "some" / "typo", tmp_path / "there"):
        with pytest.raises(DataError, match="cannot be downloaded"):
            load_dataset(name, folder)
    assert len(tried) == 2
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


@pytest.mark.parametrize("name", SETS)
def test_a_folder_that_lies_too_deep_names_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tried = offline(monkeypatch, name, SETS[name][1])
    inner = tmp_path / SETS[name][1]
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        before = sorted(tmp_path.rglob("*"))
        assert f"--data-dir {folder} lies too deep" in check(name, folder)
        with pytest.raises(DataError, match=f"choose data_dir = {tmp_path}$"):
            load_dataset(name, folder)
        assert sorted(tmp_path.rglob("*")) == before
    assert not tried


def test_drawn_signs_are_checked_without_drawing_them_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "auror.learn.signs.draw_signs", lambda home: draw_signs(home, tracks=[3] * 43, frames=10)
    )
    checks = Checklist(form="json")
    found = checks.run("data", lambda: load_dataset("signs-synthetic", tmp_path / "new"))
    assert found is not None
    assert found.classes == 43
    assert not list(tmp_path.iterdir())
