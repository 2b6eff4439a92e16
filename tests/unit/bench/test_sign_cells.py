"""Cells of signs: which data they name, which pairs they attack, and how they replay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auror.bench.defence import detection, false_flags
from auror.bench.defence import signs as section
from auror.bench.defence.cells import SIGN_PAIRS, Cell, cell_rows, configured, signs, summarise
from auror.bench.defence.rows import Bench, Row
from auror.learn.drawn_signs import TRACKS, draw_signs


def bench(folder: Path, reduced: bool = False, data_dir: Path | None = None) -> Bench:
    return Bench(folder, [1001], reduced, lambda _line: None, data_dir)


def test_real_signs_where_they_lie_and_drawn_ones_that_say_so_elsewhere(tmp_path: Path) -> None:
    drawn, real = (signs(bench(tmp_path, data_dir=d), 9, 40, "iid") for d in (None, tmp_path))
    assert (drawn.dataset, drawn.data_dir) == ("signs-synthetic", None)
    assert (real.dataset, real.data_dir) == ("gtsrb", tmp_path)
    assert str(tmp_path) not in str(real.key(1))  # rows name no folder of a machine


def test_every_pair_of_signs_is_a_cell_and_digits_take_theirs_by_seed(tmp_path: Path) -> None:
    mine = [cell for cells in section.sign_cells(bench(tmp_path)) for cell in cells]
    assert {cell.dataset for cell in mine} == {"signs-synthetic"}
    assert {(c.partition, c.malicious, c.rounds, c.flips) for c in mine if c.task == "mlp"} == {
        *(("iid-samples", m, 40, pair) for m in (3, 9) for pair in SIGN_PAIRS),
        *(("dirichlet-samples:1.0", m, 60, pair) for m in (3, 9) for pair in SIGN_PAIRS),
        *((way, 9, 60, pair) for way in ("dirichlet-samples:0.5", "iid") for pair in SIGN_PAIRS),
    }
    lenet = [cell for cell in mine if cell.task == "cnn"]
    assert {(c.partition, c.malicious, c.flips) for c in lenet} == {
        ("iid-samples", 9, "1:2"),
        ("iid-samples", 9, "38:39"),
    }
    assert {configured(cell, 1).task.name for cell in lenet} == {"cnn"}
    elsewhere = signs(replace(bench(tmp_path), device="cuda:0"), 9, 40, "iid")
    assert configured(elsewhere, 1).device == elsewhere.key(1)["device"] == "cuda:0"
    assert {configured(cell, 1).device for cell in mine} == {"cpu"}
    assert {cell.attack(seed) for cell in mine for seed in range(5)} == {
        f"flip:{pair}" for pair in SIGN_PAIRS
    }
    digits = detection.attacked_cells(bench(tmp_path))
    assert {cell.flips for cell in digits} == {"by seed"}
    assert len({digits[0].attack(seed) for seed in range(10)}) == 10
    assert {c.flips for c in false_flags.clean_cells(bench(tmp_path))} == {"none"}
    assert [cell.dataset for cell in detection.attacked_cells(bench(tmp_path, True))] == ["mnist5k"]
    few, skewed = section.sign_cells(bench(tmp_path, True))
    assert [cell.dataset for cell in few + skewed] == ["signs-synthetic"]


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_a_cell_of_signs_is_recorded_and_replayed(tmp_path: Path, fraction: float) -> None:
    draw_signs(tmp_path / "signs-synthetic", seed=1, tracks=[max(2, n // 12) for n in TRACKS])
    cell = Cell(
        "signs-synthetic", 6, 2, 2, 5, 5, "iid-samples",
        pairs=("1:2",), fraction=fraction, data_dir=tmp_path,
    )  # fmt: skip
    (row,) = cell_rows("detection", [cell], bench(tmp_path))
    assert row["reason"] is None
    assert row["attack"] == ("flip:1:2" if fraction == 1.0 else "flip:1:2:0.5")
    assert row["counted"] + row["slight"] == 2
    (line,) = summarise([row])
    assert (line["flips"], line["attackers"]) == ("1:2", row["counted"])
    by_track = replace(cell, partition="iid")
    (other,) = cell_rows("detection", [by_track], bench(tmp_path))
    assert other["partition"] == "iid"
    assert other["reason"] is None


def test_a_reduced_run_takes_one_training_of_each_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, list[int]]] = []

    def noted(section: str, settings: list[Cell], asked: Bench) -> list[Row]:
        taken.append((section, list(asked.seeds)))
        return []

    monkeypatch.setattr(detection, "cell_rows", noted)
    for reduced in (True, False):
        detection.run(replace(bench(tmp_path, reduced), seeds=[1001, 1002]))
    assert taken == [("detection", [1001]), ("detection", [1001, 1002])]


def test_lenet_and_long_trainings_take_three_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(_bench: Bench, _name: str, key: Row, _compute: object) -> Row:
        return key

    monkeypatch.setattr(section, "cached_row", row)
    made = section.run(replace(bench(tmp_path), seeds=range(9200, 9205)))
    short = [one for one in made if (one["task"], one["rounds"]) == ("mlp", 40)]
    other = [one for one in made if one not in short]
    assert (len(short), {one["seed"] for one in short}) == (40, set(range(9200, 9205)))
    assert (len(other), {one["seed"] for one in other}) == (54, {9200, 9201, 9202})
