"""Attackers who mislabel several pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auror.bench import mislabelling
from auror.bench.defence.attackers import attacked_cells
from auror.bench.defence.cells import configured
from auror.bench.defence.rows import Bench

X, Y = np.zeros((1000, 2), np.float32), np.arange(1000) % 10


def changed(attack: object, seed: int) -> set[tuple[int, int]]:
    _, labels = attack.poison(X, Y, np.random.default_rng(seed))  # type: ignore[attr-defined]
    return {(int(s), int(t)) for s, t in zip(Y, labels, strict=True) if s != t}


def test_camps_mislabel_one_pair_each_and_others_all_of_theirs() -> None:
    camps = [changed(mislabelling.two_camps, seed) for seed in range(20)]
    assert {frozenset(pairs) for pairs in camps} == {frozenset({(4, 9)}), frozenset({(1, 7)})}
    assert changed(mislabelling.three_pairs, 1) == {(4, 9), (1, 7), (3, 8)}
    assert mislabelling.two_camps.aim.source == 4


def test_who_blurs_mislabels_other_classes_that_differ_by_client() -> None:
    each = [changed(mislabelling.blurred, seed) for seed in range(10)]
    for pairs in each:
        assert (4, 9) in pairs
        rest = pairs - {(4, 9)}
        assert len({label for pair in rest for label in pair}) == 4
        assert not {4, 9} & {label for pair in rest for label in pair}
    assert len({frozenset(pairs) for pairs in each}) > 5


def test_every_cell_names_an_attack_that_there_is(tmp_path: Path) -> None:
    cells = attacked_cells(Bench(tmp_path, [1], False, print))
    for cell in cells:
        assert str(configured(cell, 1).attack) == cell.attack(1)
        assert ":" not in cell.flips or cell.flips.startswith(("flip", "backdoor"))
    assert {cell.malicious for cell in cells} == {1, 3, 6, 9, 13}
