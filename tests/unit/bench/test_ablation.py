"""Rules of the verdict switched off, and on again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auror.bench.defence import ablation
from auror.bench.defence.ablation import RULES, Case, cases, judged, summarise
from auror.bench.defence.cells import Cell, recorded
from auror.bench.defence.rows import Bench, Row
from auror.defence import confusion, selection, verdict
from auror.defence.verdict import VerdictParams

CELL = Cell("digits", 15, 4, 1, 12, 12, pairs=("4:9",))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_a_rule_is_off_only_while_it_is_asked_to(cache: Path) -> None:
    parts = [(verdict, "blocks_of"), (verdict, "look"), (selection, "learn_tails"),
             (confusion, "plain"), (verdict, "ALL_ROUNDS"), (verdict, "late_windows")]  # fmt: skip
    before = [getattr(module, name) for module, name in parts]
    for off in RULES.values():
        with off.applied() as params:
            assert (params != VerdictParams()) == bool(off.params)
            while_off = [getattr(module, name) for module, name in parts]
        assert (while_off != before) == bool(off.instead)
        assert [getattr(module, name) for module, name in parts] == before


@pytest.fixture(scope="module")
def rows(cache: Path) -> list[Row]:
    """Of every rule switched off, on one cell and seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "cases", lambda _bench: [Case(CELL)])
        return ablation.run(Bench(cache, [1], False, lambda _line: None))


@pytest.mark.slow
def test_every_rule_can_be_off_and_families_are_what_finds(rows: list[Row]) -> None:
    found = {row["without"]: {name: row[name] for name in ("tpr", "fpr", "strength")}
             for row in rows}  # fmt: skip
    assert found.keys() == RULES.keys()
    assert found["none"]["tpr"] == 1.0
    assert found["none"]["fpr"] == 0.0
    assert found["Against"]["tpr"] == 1.0
    assert found["none"] == found["misfit"]  # of a cohort of 15
    assert len({row["strength"] for row in found.values()}) > 5


def test_lies_in_the_statistics_reach_the_verdict(cache: Path) -> None:
    cell = replace(CELL, group_size=3)
    made = recorded(cell, cache, 1)
    true, told = (judged(made, Case(cell, lies), VerdictParams(), 1) for lies in ("", "spread"))
    assert true != told


@pytest.mark.slow
def test_a_line_says_whether_the_rule_changes_anything(rows: list[Row]) -> None:
    lines = summarise(rows)
    assert [line["without"] for line in lines] == list(RULES)
    changes = {line["without"]: line["changes"] for line in lines}
    assert not changes["none"]
    assert not changes["misfit"]
    assert changes["learnt tails"]


def test_cases_are_attacked_and_clean(tmp_path: Path) -> None:
    found = cases(Bench(tmp_path, [1], False, print))
    assert {case.cell.malicious for case in found} == {0, 3, 9}
    assert {case.lies for case in found} == {"", "onto-honest"}
    assert len(cases(Bench(tmp_path, [1], True, print))) == 1
