"""The section of two to five classes: its data, its cells, its lines."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from auror.bench.defence.cells import Cell
from auror.bench.defence.few_classes import (
    CLASSES,
    PAIR,
    FewClasses,
    few_cells,
    kept_classes,
    recorded_few,
    samples,
    summarise,
)
from auror.bench.defence.rows import Bench, Row
from auror.learn.datasets import load_dataset


def bench(folder: Path, reduced: bool = False) -> Bench:
    return Bench(folder, [1001], reduced, lambda _line: None)


def test_kept_classes_are_drawn_by_the_seed_and_renumbered(tmp_path: Path) -> None:
    drawn = {kept_classes(2, seed) for seed in range(20)}
    assert len(drawn) > 10
    assert all(len(set(kept_classes(classes, 7))) == classes for classes in CLASSES)
    kept = (7, 1, 4)
    with np.load(samples("digits", kept, tmp_path)) as file:
        x, y = file["x"], file["y"]
    whole = load_dataset("digits")
    of_class = sum(int((part == 7).sum()) for part in (whole.train_y, whole.test_y, whole.clean_y))
    assert sorted(set(y.tolist())) == [0, 1, 2]
    assert int((y == 0).sum()) == of_class
    sevens = {image.tobytes() for image in whole.train_x[whole.train_y == 7]}
    assert sevens <= {image.tobytes() for image in x[y == 0]}


def test_every_number_of_classes_is_a_cell_with_and_without_liars(tmp_path: Path) -> None:
    found = few_cells(bench(tmp_path))
    assert {
        (one.classes, one.cell.partition, one.cell.clients, bool(one.cell.malicious))
        for one in found
    } == {
        (classes, way, clients, lying)
        for classes in CLASSES
        for way in ("iid", "dirichlet:1.0")
        for clients in (15, 30)
        for lying in (False, True)
    }
    assert {one.cell.group_size for one in found} == {5}
    assert [one.classes for one in few_cells(bench(tmp_path, reduced=True))] == [4, 4]


def test_a_training_of_few_classes_is_recorded(tmp_path: Path) -> None:
    one = FewClasses(3, Cell("digits", 15, 3, 5, 2, 2, pairs=PAIR))
    made = recorded_few(one, tmp_path, 1001)
    (block,) = [block for block in made.blocks if block.shape == (3, 3)]
    assert made.sums.shape[:2] == (2, 15)
    assert block.width == 9
    assert len(made.malicious) == 3


def test_lines_count_alarms_where_nobody_lies_and_liars_elsewhere() -> None:
    clean, lying = (FewClasses(4, Cell("digits", 15, m, 5, 40, 40, pairs=PAIR)) for m in (0, 3))
    rows: list[Row] = [
        {**clean.key(1), "strengths": [math.log(11.0), 0.0], "accused": 0, "reason": None},
        {**clean.key(2), "strengths": [0.0, 0.0], "accused": 0, "reason": None},
        {
            **lying.key(1), "counted": 3, "tpr": 1.0, "fpr": 0.0, "flagged": 3, "first": 11,
            "undefended_attack_success": 0.5, "reason": None,
        },
        {
            **lying.key(2), "counted": 2, "tpr": 0.0, "fpr": 0.0, "flagged": 0, "first": None,
            "undefended_attack_success": 0.1, "reason": None,
        },
    ]  # fmt: skip
    none, some, together = summarise(rows)
    assert (none["alarms at 0.1"], none["alarms at 0.03"]) == (0.25, 0)
    for alpha in ("0.1", "0.03"):
        low, high = none[f"interval at {alpha}"]
        assert 0 <= low <= none[f"alarms at {alpha}"] < high <= 1
    assert (none["trainings"], none["draws"]) == (2, 4)
    assert (some["tpr"], some["nobody flagged in"], some["attackers"]) == (0.5, 1, 5)
    assert some["first flag, median"] == 11
    assert some["attack success, undefended"] == pytest.approx(0.3)
    assert (together["dataset"], together["classes"], together["trainings"]) == ("all", 4, 2)
