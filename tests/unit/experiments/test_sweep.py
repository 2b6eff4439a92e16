"""``auror sweep``: resumable, and honest about failures."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from auror.cli import main
from auror.errors import ConfigError
from auror.experiments import progress, sweep
from auror.experiments.engine import Engine
from auror.experiments.files import name_of
from auror.experiments.manifest import load_manifest
from auror.experiments.options import DEFAULTS, experiment_config
from auror.experiments.sweep import Shard, read_table, run_sweep
from auror.sim.simulate import Aggregation

MANIFEST = """
[base]
dataset = "digits"
clients = 6
malicious = 1
attack = "flip:4:9"
rounds = 2
colluders = 1

[grid]
group_size = [2, 3, 7]
seed = "1-2"
"""


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "manifest.toml").write_text(MANIFEST)
    said: list[str] = []
    report = run_sweep(folder / "manifest.toml", folder / "out", Engine(workers=1), said.append)
    assert (report.cells, report.computed, report.failed) == (6, 6, 2)
    assert any("left" in line for line in said)
    return folder


def test_a_row_per_cell_and_failures_with_their_reason(swept: Path) -> None:
    rows = read_table(swept / "out")
    assert [(row["group_size"], row["seed"]) for row in rows] == [
        (size, seed) for size in (2, 3, 7) for seed in (1, 2)
    ]
    for row in rows:
        if row["group_size"] == 7:
            assert "group_size = 7 is larger than the cohort" in row["reason"]
        else:
            assert row["reason"] is None
            assert 0 <= row["accuracy"] <= 1
            assert row["aggregation"] == "plain"
            assert set(DEFAULTS) <= row.keys()
    with (swept / "out" / "rows.csv").open(newline="") as file:
        plain = list(csv.DictReader(file))
    assert [row["seed"] for row in plain] == [str(row["seed"]) for row in rows]
    assert list(plain[0]) == list(rows[0])


def test_a_second_start_computes_only_what_is_missing(swept: Path) -> None:
    cells = sorted((swept / "out" / "cells").iterdir())
    gone = next(path for path in cells if json.loads(path.read_text())["reason"] is None)
    before = {path: path.stat().st_mtime_ns for path in cells}
    gone.unlink()
    report = run_sweep(swept / "manifest.toml", swept / "out", Engine(workers=1), lambda line: None)
    assert report.computed == 3  # the missing one, and the two that failed
    kept = [p for p in cells if p != gone and json.loads(p.read_text())["reason"] is None]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    assert gone.exists()


def test_shards_compute_every_cell_once_and_the_whole_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, computed = tmp_path / "manifest.toml", []
    path.write_text(MANIFEST)

    def compute(task: tuple[dict[str, Any], str]) -> tuple[str, dict[str, Any]]:
        cell, _version = task
        row = {**DEFAULTS, **cell, "reason": None, "seconds": 0.0}
        computed.append((cell["group_size"], cell["seed"]))
        return name_of(cell), row

    monkeypatch.setattr(sweep, "_compute", compute)
    for number, cells in ((1, 2), (2, 2), (3, 1), (4, 1)):
        own = tmp_path / str(number)
        report = run_sweep(path, own, Engine(workers=1), lambda _line: None, Shard(number, 4))
        assert (report.cells, report.computed) == (cells, cells)
        assert not (own / "rows.csv").exists()  # of a part there is no table to take for the whole
        shutil.copytree(own, tmp_path / "all", dirs_exist_ok=True)
    assert sorted(computed) == [(size, seed) for size in (2, 3, 7) for seed in (1, 2)]
    report = run_sweep(path, tmp_path / "all", Engine(workers=1), lambda _line: None)
    assert (report.cells, report.computed) == (6, 0)
    assert [(row["group_size"], row["seed"]) for row in read_table(tmp_path / "all")] == sorted(
        computed
    )


def test_gathered_cells_are_found_and_damaged_ones_computed_again(
    swept: Path, tmp_path: Path
) -> None:
    gathered = tmp_path / "gathered"
    shutil.copytree(swept / "out" / "cells", gathered / "cells")
    cells = sorted((gathered / "cells").iterdir())
    whole = [json.loads(path.read_text())["reason"] is None for path in cells]
    good = [path for path, there in zip(cells, whole, strict=True) if there]
    good[0].write_text("{}")
    good[1].write_text(good[1].read_text()[:40])
    words = ("sweep", str(swept / "manifest.toml"), "--out", str(gathered))
    again = len(cells) - len(good) + 2
    said = f"{len(good) - 2} of them there already, {again} failed or damaged and computed again"
    checked = invoke(*words, "--check")
    assert (checked.exit_code, said in checked.stdout) == (2, True)  # two cells cannot run
    assert [path.name for path in gathered.iterdir()] == ["cells"]  # a check leaves nothing
    incomplete = invoke("report", str(gathered))
    assert (incomplete.exit_code, "not complete: run `auror sweep`" in incomplete.stderr) == (
        4,
        True,
    )
    done = invoke(*words)
    assert said in done.stderr
    before, after = read_table(swept / "out"), read_table(gathered)
    assert [row["accuracy"] for row in after] == [row["accuracy"] for row in before]


def test_a_worker_of_another_version_computes_nothing() -> None:
    _name, row = sweep._compute(({"dataset": "digits"}, "0.0.0"))
    assert "not 0.0.0: install the same" in row["reason"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--address", "127.0.0.1:1"), "address has no effect"),
        (("--workers", "0"), "--workers 0: choose 1 or more"),
    ],
)
def test_an_engine_that_is_none_is_refused_in_one_line(
    tmp_path: Path, words: tuple[str, str], why: str
) -> None:
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    done = invoke("sweep", str(tmp_path / "manifest.toml"), "--out", str(tmp_path / "out"), *words)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert why in done.stderr


def test_without_ray_installed_the_fix_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    out = tmp_path / "out"
    done = invoke("sweep", str(tmp_path / "manifest.toml"), "--out", str(out), "--engine", "ray")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == "auror: --engine ray needs Ray: pip install 'auror[ray]'"


@pytest.mark.parametrize("text", ["2", "0/2", "3/2", "a/b", "1/", "-1/2", "1/7"])
def test_a_shard_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    words = ("sweep", str(tmp_path / "manifest.toml"), "--out", str(tmp_path / "out"))
    done = invoke(*words, "--shard", text)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"shard {text}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_another_manifest_does_not_mix_with_what_is_there(swept: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(MANIFEST.replace("rounds = 2", "rounds = 3"))
    for more in ((), ("--check",)):
        result = invoke("sweep", str(other), "--out", str(swept / "out"), *more)
        assert result.exit_code == 2
        assert "holds another sweep" in result.output


def test_a_check_refuses_a_folder_that_holds_something_else(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for more in ((), ("--check",)):
        result = invoke("sweep", str(swept / "manifest.toml"), "--out", str(tmp_path), *more)
        assert (result.exit_code, "is not empty" in result.output) == (2, True)


def test_a_cell_that_takes_long_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    told, said = threading.Event(), list[str]()

    def compute(task: tuple[dict[str, Any], str]) -> tuple[str, dict[str, Any]]:
        assert told.wait(30)
        return name_of(task[0]), {**DEFAULTS, **task[0], "reason": None, "seconds": 0.0}

    def say(line: str) -> None:
        said.append(line)
        if line.endswith("…"):
            told.set()

    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(sweep, "_compute", compute)
    run_sweep(tmp_path / "manifest.toml", tmp_path / "out", Engine(workers=1), say)
    assert "0/6 done …" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[base]\nrouns = 3\n", "rouns is no dial"),
        ("[grid]\nseed = []\n", "grid.seed must be a list"),
        ("[grid]\nseed = 4\n", "grid.seed must be a list"),
        ("[other]\n", "unknown table [other]"),
        ("[base]\nseed = 1\n[grid]\nseed = [1]\n", "in [base] and in [grid]: leave one"),
        ("[base", "manifest.toml"),
    ],
)
def test_bad_manifests_are_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    result = invoke("sweep", str(path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
    assert invoke("sweep", str(tmp_path / "none"), "--out", str(tmp_path)).exit_code == 2


RULED = """
[base]
dataset = "digits"
clients = 6
malicious = 1
rounds = 1
attack = "flip:4:9"

[grid]
rule = ["auror", "mean", "multi-krum"]
group_size = [2, 3]
colluders = [1, 2]
"""


def test_a_rule_is_a_dial_and_dials_without_effect_in_a_cell_make_no_cells(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(RULED)
    cells = [
        (c["rule"], c.get("group_size"), c.get("colluders")) for c in load_manifest(path).cells()
    ]
    assert cells == [
        *(("auror", g, c) for g in (2, 3) for c in (1, 2)),
        ("mean", None, None),
        ("multi-krum", None, 1),
        ("multi-krum", None, 2),
    ]
    report = run_sweep(path, tmp_path / "out", Engine(workers=1), lambda line: None)
    assert (report.cells, report.failed) == (7, 0)
    rows = {(row["rule"], row["colluders"]): row for row in read_table(tmp_path / "out")}
    for rule in ("mean", "multi-krum"):
        assert {rows[key]["update_recovery"] for key in rows if key[0] == rule} == {1.0}
        assert {rows[key]["group_size"] for key in rows if key[0] == rule} == {None}
    assert 0 <= rows["multi-krum", 1]["tpr"] <= 1
    assert rows["auror", 1]["update_recovery"] < 1.0


def test_a_dial_without_effect_in_any_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text('[base]\nrule = "mean"\ngroup_size = 3\n')
    with pytest.raises(ConfigError, match="group_size has no effect in any cell"):
        load_manifest(path)


def test_cells_are_the_product_of_the_grid_over_the_base(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(MANIFEST)
    cells = load_manifest(path).cells()
    assert len(cells) == 6
    config = experiment_config(cells[0])
    assert (config.clients, config.round_params.group_size, config.seed) == (6, 2, 1)
    assert config.aggregation is Aggregation.PLAIN


def test_unknown_dials_are_refused() -> None:
    with pytest.raises(ConfigError, match="speed is no dial"):
        experiment_config({"speed": 3})
