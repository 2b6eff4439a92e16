"""Synthetic signs through the programs: they train, and whatever is written says what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from auror.cli import main
from auror.learn.drawn_signs import draw_signs


def auror(*words: str | Path) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signs")
    draw_signs(folder / "signs-synthetic", tracks=[2] * 43, frames=10)
    return folder


def test_runs_on_synthetic_signs_are_labelled_synthetic(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    auror(
        *("simulate", "--dataset", "signs-synthetic", "--data-dir", data, "--task", "mlp:hidden=8"),
        *("--clients", "4", "--malicious", "1", "--attack", "flip:1:2"),
        *("--runs", "undefended", "--rounds", "1", "--out", run),
    )
    assert "signs-synthetic" in (run / "report.html").read_text()
    auror("export", run, "--out", tmp_path / "model.safetensors")
    [card] = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert card["data"]["name"] == "signs-synthetic"
    assert card["task"]["classes"][1] == "synthetic 30 km/h"
    [page] = tmp_path.glob("*.md")
    assert "`signs-synthetic`, no sample of which is here" in page.read_text()


@pytest.mark.parametrize("task", ["cnn", "resnet18:width=4"])
def test_other_models_train_on_signs(data: Path, task: str) -> None:
    said = auror(
        *("simulate", "--dataset", "signs-synthetic", "--data-dir", data, "--task", task),
        *("--clients", "10", "--runs", "clean"),
        *("--rounds", "1", "--epochs", "1"),
    )
    assert "clean" in said
