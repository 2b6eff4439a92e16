"""The curve of stated against observed error rates, and what its rows and intervals mean."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from auror.bench.defence.calibration import (
    ALPHAS,
    clean_cells,
    curve_rows,
    interval,
    look_rounds,
    summarise,
    watch,
)
from auror.bench.defence.cells import Cell, recorded
from auror.bench.defence.rows import Bench, Row
from auror.bench.defence.sign_figures import calibration_figure
from auror.bench.replays import replay
from auror.defence.verdict import VerdictParams


def bench(folder: Path, data_dir: Path | None = None) -> Bench:
    return Bench(folder, [1001, 1002], False, lambda _line: None, data_dir)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_the_curve_covers_equal_and_skewed_data_of_every_kind(tmp_path: Path) -> None:
    cells = clean_cells(bench(tmp_path))
    assert {cell.malicious for cell in cells} == {0}
    assert {(cell.dataset, cell.partition) for cell in cells} == {
        ("mnist5k", "iid"), ("mnist5k", "dirichlet:1.0"), ("mnist5k", "dirichlet:0.5"),
        ("digits", "iid"), ("digits", "dirichlet:1.0"), ("digits", "dirichlet:0.5"),
        ("signs-synthetic", "iid-samples"), ("signs-synthetic", "dirichlet-samples:1.0"),
        ("signs-synthetic", "dirichlet-samples:0.5"),
    }  # fmt: skip
    real = [cell for cell in clean_cells(bench(tmp_path, tmp_path)) if cell.data_dir]
    assert {(cell.dataset, cell.data_dir) for cell in real} == {("gtsrb", tmp_path)}
    assert len(real) == 3


def test_looks_reach_from_the_first_round_that_may_judge_to_the_last() -> None:
    cell = Cell("digits", 30, 0, 5, 20, 20)
    looks = look_rounds(cell)
    assert looks == (7, 9, 11, 13, 16, 20)  # 1.2 sums a client: 7 rounds of five free ones
    assert look_rounds(replace(cell, rounds=40))[::5] == (7, 40)
    assert look_rounds(replace(cell, rounds=8)) == (7, 8)
    assert look_rounds(replace(cell, rounds=4)) == (4,)


def test_draws_of_one_training_differ_and_are_kept(cache: Path) -> None:
    cell = Cell("digits", 15, 0, 3, 8, 8)
    rows = curve_rows([cell], bench(cache), draws=3)
    assert [row["seed"] for row in rows] == [1001, 1002]
    for row in rows:
        assert len(row["strengths"]) == 3
        assert len(set(row["strengths"])) > 1 or max(row["strengths"]) == 0.0
        made = recorded(cell, cache, row["seed"])
        again = [watch(made, cell, [row["seed"], draw]) for draw in range(3)]
        assert [round(strength, 3) for strength, _ in again] == row["strengths"]
        assert sum(accused for _, accused in again) == row["accused"]
    silent = replace(bench(cache), say=lambda _line: pytest.fail("computed twice"))
    assert curve_rows([cell], silent, draws=3) == rows


def test_a_look_that_accuses_is_an_alarm_at_its_alpha(cache: Path) -> None:
    lying = Cell("digits", 15, 4, 1, 12, 12, pairs=("4:9",))
    made = recorded(lying, cache, 1001)
    largest, accused = watch(made, lying, [1001, 0])
    assert accused
    assert largest >= VerdictParams().required(15)
    assert replay(made, 1, 1001, audits=None).flagged
    early, _ = watch(made, replace(lying, rounds=4), [1001, 0])
    assert early == 0.0  # nobody is judged before the fifth round


def training(seed: int, *strengths: float) -> Row:
    cell = Cell("digits", 30, 0, 5, 40, 40)
    kept = {"strengths": list(strengths), "accused": 0, "looks": [7, 40], "reason": None}
    return {**cell.key(seed), **kept}


def test_trainings_and_draws_are_counted_apart() -> None:
    at = {alpha: math.log(1.0 / alpha) for alpha in ALPHAS}
    rows = [
        training(1, at[0.01] + 0.01, at[0.1] - 0.01, 0.0, 0.0),
        training(2, at[0.3], 0.0, 0.0, 0.0),
        training(3, 0.0, 0.0, 0.0, 0.0),
        {**training(4), "reason": "broken"},
    ]
    lines = {line["alpha"]: line for line in summarise(rows) if line["dataset"] != "all"}
    assert list(lines) == list(ALPHAS)
    assert {a: line["alarms"] for a, line in lines.items()} == {0.3: 3, 0.1: 1, 0.03: 1, 0.01: 1}
    assert {a: line["that ever alarm"] for a, line in lines.items()} == {
        0.3: 2, 0.1: 1, 0.03: 1, 0.01: 1,
    }  # fmt: skip
    assert all((line["trainings"], line["draws"]) == (3, 12) for line in lines.values())
    assert lines[0.3]["observed"] == 0.25
    assert lines[0.3]["interval"] == [round(x, 4) for x in interval(0.75, 3)]
    assert lines[0.3]["holds"]
    assert lines[0.3]["looks at rounds"] == "7 40"


def test_a_rate_above_its_nominal_one_is_said() -> None:
    rows = [training(seed, *[9.0] * 4) for seed in range(8)]
    assert [line["holds"] for line in summarise(rows)] == [False] * 2 * len(ALPHAS)


def test_all_trainings_are_also_folded_together_and_drawn() -> None:
    skewed = {**training(3, 9.0, 0.0), "partition": "dirichlet:1.0"}
    lines = summarise([training(1, 0.0, 0.0), training(2, 0.0, 0.0), skewed])
    last = lines[-1]
    assert (last["dataset"], last["partition"], last["trainings"]) == ("all", "all", 3)
    assert last["observed"] == pytest.approx(1 / 6, abs=1e-4)
    drawn = calibration_figure(lines)
    assert drawn is not None
    told = ("digits, 3 trainings", "all, 3 trainings", "Dirichlet 1.0", "stated")
    assert all(words in drawn for words in told)
    assert calibration_figure([]) is None


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (3, 20), (20, 20)])
def test_whole_counts_have_the_exact_interval(successes: int, trials: int) -> None:
    exact = binomtest(successes, trials).proportion_ci()
    assert interval(successes, trials) == pytest.approx((exact.low, exact.high))


def test_a_mean_over_draws_lies_between_the_whole_counts_around_it() -> None:
    below, between, above = (np.array(interval(count, 20)) for count in (2, 2.4, 3))
    assert (below < between).all()
    assert (between < above).all()
