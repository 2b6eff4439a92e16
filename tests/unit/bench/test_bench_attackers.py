"""The tables about attackers and other rules: lies cancel, rules train as the experiment does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auror.bench.defence import fedgt
from auror.bench.defence.arena import setting, under_auror, under_rule
from auror.bench.defence.averages import averaged
from auror.bench.defence.redistribution import SCHEMES, liars, redistribution_row
from auror.bench.defence.rows import Bench
from auror.bench.fedgt import CLIENTS, group_matrix
from auror.bench.recordings import record
from auror.errors import ConfigError
from auror.experiments.config import RunName
from auror.learn.attacks import draw_malicious
from auror.training.observations import PlanChoice


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lies_cancel_over_all_groups_and_move_evidence(scheme: str, tmp_path: Path) -> None:
    config = setting("flip:4:9", 3, 1, dataset="digits", malicious=9, rounds=2)
    found = record(config, PlanChoice(), tmp_path)
    honest = np.setdiff1d(np.arange(30), found.malicious)
    lie = liars(scheme, found, honest[:9], 3)
    groups = [list(range(start, start + 5)) for start in range(0, 30, 5)]
    true = found.statistics[1]
    sent = lie(1, true.copy(), groups)
    np.testing.assert_allclose(sent.sum(axis=0), true.sum(axis=0), atol=1e-9)
    np.testing.assert_array_equal(sent[honest], true[honest])
    moved = np.abs(sent - true).max(axis=1) > 0
    assert moved[list(found.malicious)].any()


@pytest.mark.parametrize(
    ("seed", "failed"),
    [(1, 2), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((2, 0), (3, 1)))],
)
def test_failed_checks_are_counted(tmp_path: Path, seed: int, failed: int) -> None:
    row = redistribution_row("spread", 9, 5, 12, seed, tmp_path)
    assert row["checks_failed"] == failed
    assert row["fpr"] == 0


def test_plain_averaging_as_a_rule_is_the_undefended_run() -> None:
    config = setting("flip:4:9", 2, dataset="digits", rounds=3)
    ruled = under_rule(config, "mean")
    run = under_auror(config, (RunName.UNDEFENDED,)).outcomes[RunName.UNDEFENDED]
    assert ruled["accuracy"] == pytest.approx(run.final.accuracy, abs=0.006)
    assert ruled["tpr"] is ruled["fpr"] is None


def test_sign_flippers_are_seen_by_who_sees_updates() -> None:
    row = under_rule(setting("sign", 2, dataset="digits", rounds=3), "fltrust")
    assert row["tpr"] == 1.0
    assert row["fpr"] < 0.2


def test_rules_that_need_clean_samples_say_so() -> None:
    config = setting("flip:4:9", 2, dataset="digits", rounds=1, clean_per_class=0)
    with pytest.raises(ConfigError, match=r"fltrust needs clean samples .*leave out clean_"):
        under_rule(config, "fltrust")
    assert under_rule(config, "mean")["accuracy"] > 0


def test_failed_rows_do_not_count() -> None:
    rows = [
        {"rule": "a", "tpr": 1.0, "reason": None},
        {"rule": "a", "tpr": 0.5, "reason": None},
        {"rule": "a", "tpr": None, "reason": None},
        {"rule": "a", "reason": "no data"},
        {"rule": "b", "tpr": None, "reason": None},
    ]
    assert averaged(rows, ("rule",), ("tpr",)) == [
        {"rule": "a", "runs": 3, "tpr": 0.75},
        {"rule": "b", "runs": 1, "tpr": None},
    ]


def test_fedgt_beside_ours(tmp_path: Path) -> None:
    rows = fedgt.run(Bench(tmp_path, [5], True, lambda _line: None))
    by = {row["method"]: row for row in rows}
    assert [row["reason"] for row in rows] == [None] * 5
    assert by["auror"]["smallest_group"] >= by["fedgt"]["smallest_group"] == 4
    assert by["auror"]["numbers_per_opening"] < by["fedgt"]["numbers_per_opening"] / 100
    assert by["auror"]["leverage"] < by["fedgt"]["leverage"]
    assert by["fedgt noise-free"]["tpr"] == pytest.approx(0.99, abs=0.01)
    again = Bench(tmp_path, [5], True, lambda _line: pytest.fail("computed twice"))
    assert fedgt.run(again) == rows


def test_fedgt_draws_the_malicious_anew_until_a_group_has_none() -> None:
    seeds = [fedgt.with_benign_group(5, seed) for seed in range(40)]
    assert all(found % 1_000_000 == seed for seed, found in enumerate(seeds))
    drawn = [list(draw_malicious(CLIENTS, 5, seed)) for seed in range(40)]
    none = [bool(group_matrix()[:, bad].any(axis=1).all()) for bad in drawn]
    assert any(none)
    assert [found >= 1_000_000 for found in seeds] == none


def test_fedgt_tests_the_authors_model_too() -> None:
    row = fedgt._row("logistic", "fedgt", 1, 3, 5)
    assert row["numbers_per_opening"] == 7850
    assert row["estimated"] in range(6)
    assert 0 <= row["tests_right"] <= 1
