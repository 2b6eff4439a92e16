"""The frontier's dials, plans and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auror.bench.defence import BenchReport, as_text, write_rows
from auror.bench.defence.cells import Cell, recorded
from auror.bench.defence.figures import cohort_figure, frontier_figure
from auror.bench.defence.frontier import (
    NUMBERS,
    Alone,
    Dial,
    dials,
    opened_alone,
    rows_of,
    summarise,
)
from auror.bench.defence.rows import Bench, Row
from auror.defence.features import FeatureKind
from auror.experiments.result import DecodedEstimates
from auror.ids import ClientId
from auror.training.observations import PlanChoice


def test_every_plan_is_measured_over_every_dial() -> None:
    points = dials(reduced=False)
    assert len(points) == len(set(points))
    for plan, k in NUMBERS.items():
        mine = [point for point in points if (point.plan, point.numbers) == (plan, k)]
        lie = [point for point in mine if point.malicious and point.clients == 30]
        assert {p.group_size for p in lie} == {1, 3, 5, 10, 15}
        assert {p.malicious for p in lie} == {3, 6, 9, 12}
        assert {p.fraction for p in lie} == {1.0, 0.75, 0.5, 0.25}
        assert {p.partitions for p in lie} == {1, 2, 4}
        assert 60 in {p.clients for p in mine}
    quiet = [point for point in points if not point.malicious]
    assert {point.plan for point in quiet} == {Alone.OUTPUT, Alone.SKETCH}
    assert {point.plan for point in dials(reduced=True)} == set(Alone)


def test_a_smaller_sketch_is_the_larger_one_folded(tmp_path: Path) -> None:
    cell = Cell("digits", 4, 0, 1, 1, 1)
    large = recorded(cell, tmp_path, 1, PlanChoice(output_layer=True, sketch_rows=512))
    small = recorded(cell, tmp_path, 1, PlanChoice(confusion=False, sketch_rows=128))
    folded = opened_alone(large, Alone.SKETCH, 128)
    np.testing.assert_allclose(folded.statistics, small.statistics, atol=1e-12)
    assert folded.blocks == small.blocks
    confusion = opened_alone(large, Alone.CONFUSION, 100)
    assert confusion.blocks[0].shape == (10, 10)
    np.testing.assert_array_equal(confusion.statistics, large.statistics[..., :100])
    for plan, numbers in (
        (Alone.SKETCH, 100),
        (Alone.SKETCH, 1024),
        (Alone.OUTPUT, 10),
    ):
        with pytest.raises(ValueError, match=f"no {plan} of {numbers}"):
            opened_alone(large, plan, numbers)
    with pytest.raises(ValueError, match="no output"):
        opened_alone(small, Alone.OUTPUT, NUMBERS[Alone.OUTPUT])


def test_a_point_with_its_cost_is_computed_once(tmp_path: Path) -> None:
    points = [
        Dial(12, 3, 3, 1.0, times, plan, NUMBERS[plan], rounds=6)
        for plan in (Alone.OUTPUT, Alone.SKETCH)
        for times in (1, 2)
    ]
    rows = rows_of(points, Bench(tmp_path, [1000], False, lambda _line: None))
    assert [row["reason"] for row in rows] == [None] * 4
    once, twice, *_sketch = rows
    assert once["leverage per round"] == pytest.approx(1 / 3, abs=1e-4)
    assert 1 / 3 < twice["leverage per round"] <= 7 / 12 + 1e-4  # 2 · 4 − 1 equations, 12 clients
    assert once["numbers per round"] == 650 * 4
    assert twice["numbers per round"] == 650 * 4 * 2
    again = Bench(tmp_path, [1000], False, lambda _line: pytest.fail("computed twice"))
    assert rows_of(points, again) == rows
    table = summarise(rows)
    assert [line["T"] for line in table] == [1, 2, 1, 2]
    assert all(line["fpr"] == line["alarms"] == 0 for line in table)
    assert len({len(line) for line in as_text(_report(table)).splitlines()[1:2]}) == 1


def _report(table: list[Row]) -> BenchReport:
    return BenchReport((1000,), True, {"frontier": table}, {"frontier": table}, {"frontier": 0.0})


def raw(after: int | None, seed: int, **changes: object) -> Row:
    return {
        "plan": "sketch", "numbers": 512, "clients": 30, "malicious": 9, "group_size": 5,
        "fraction": 1.0, "partitions": 1, "seed": seed, "reason": None, "tpr": 1.0, "fpr": 0.0,
        "all found after": after, "fewest possible": 6, "leverage per round": 0.2,
        "numbers per round": 3072, **changes,
    }  # fmt: skip


def test_a_seed_that_finds_not_all_counts_as_infinite() -> None:
    quiet = {"malicious": 0, "tpr": None, "fpr": 0.1}
    table = summarise(
        [raw(9, 1), raw(11, 2), raw(None, 3, tpr=0.5), raw(8, 4, reason="no data"),
         raw(None, 1, group_size=15), raw(None, 1, **quiet)]
    )  # fmt: skip
    first, far, nobody = table
    assert (first["runs"], first["rounds"], first["found"], first["tpr"]) == (3, 11, 2, 0.8333)
    assert (far["rounds"], far["found"]) == (None, 0)
    assert (nobody["tpr"], nobody["found"], nobody["alarms"]) == (None, None, 1)


def test_the_figure_has_a_panel_per_number_of_attackers(tmp_path: Path) -> None:
    rows = [
        raw(12, 1, plan=plan, numbers=k, malicious=bad)
        for plan, k in (("confusion", 100), ("output", 650), ("sketch", 512), ("sketch", 128))
        for bad in (3, 9)
    ]
    rows += [
        raw(None, 1, group_size=15, malicious=3),
        raw(3, 1, group_size=1, **{"fewest possible": 1}),
        raw(None, 1, group_size=30, **{"fewest possible": None}),
        raw(40, 1, fraction=0.5), raw(None, 1, malicious=0, tpr=None),
    ]  # fmt: skip
    drawn = frontier_figure(summarise(rows))
    assert drawn is not None
    for text in ("3 of 30 lie", "9 of 30 lie", "sketch, k = 128", "fewest possible"):
        assert text in drawn
    assert "0 of 30 lie" not in drawn
    assert frontier_figure(summarise(rows)) == drawn
    assert frontier_figure([]) is None
    assert frontier_figure(summarise([raw(40, 1, fraction=0.5)])) is None
    written = {path.name: path for path in write_rows(_report(summarise(rows)), tmp_path)}
    assert written["frontier.svg"].read_text().endswith(drawn)


def test_nothing_found_at_all_is_still_a_figure() -> None:
    assert frontier_figure(summarise([raw(None, 1)])) is not None


def test_the_decoded_cohort_names_pair_and_attackers() -> None:
    pairs = tuple((s, t) for t in range(4) for s in range(4) if s != t)
    effects = np.random.default_rng(0).normal(size=(6, len(pairs)))
    effects[2, pairs.index((1, 3))] += 8.0
    evidence = DecodedEstimates(tuple(ClientId(c) for c in range(6)), pairs, effects)
    drawn = cohort_figure(evidence, {ClientId(2)}, (1, 3), "six clients")
    assert "2 ●" in drawn
    assert "3 ●" not in drawn
    assert drawn.count("1→3") >= 2
    assert "six clients" in drawn
    assert FeatureKind.CONFUSION.value == Alone.CONFUSION.value
