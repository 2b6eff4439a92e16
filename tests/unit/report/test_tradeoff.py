"""``auror report`` on sweeps: like runs together, unlike runs apart, no row lost."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from auror.cli import main
from auror.errors import ConfigError
from auror.experiments.options import DEFAULTS
from auror.experiments.sweep import write_table
from auror.report.grouping import METRICS, Grouping, group_rows, interval
from auror.report.tradeoff import figures, undrawn, write_tradeoff

ATTACKS = ("flip:4:9", "permute", "sign")
PARTITIONS = ("dirichlet:0.5", "iid")


def row(seed: int = 1, **changes: Any) -> dict[str, Any]:
    """A finished run under the defaults."""
    size = changes.get("group_size", 5)
    return {
        **DEFAULTS, "seed": seed, "accuracy": 0.9, "tpr": 1.0 - size / 40, "fpr": 0.0,
        "attack_success": 0.01 * seed, "update_recovery": 0.5 / size,
        "statistic_recovery": 1 / size, "reason": None, "seconds": 1.5, **changes,
    }  # fmt: skip


def by_size() -> list[dict[str, Any]]:
    return [row(seed, group_size=size) for size in (1, 5, 30) for seed in (1, 2, 3)]


def unlike() -> list[dict[str, Any]]:
    """Three attacks, one of them without a target, and two partitions; a cell has failed."""
    rows = [
        row(seed, attack=attack, partition=partition)
        for attack in ATTACKS
        for partition in PARTITIONS
        for seed in (1, 2)
    ]
    for one in rows:
        if one["attack"] == "sign":
            one["attack_success"] = None
    rows[3] |= dict.fromkeys(METRICS) | {"reason": "it <broke>"}
    return rows


def accounted(found: Grouping) -> int:
    return sum(len(point.rows) + len(point.failed) for point in found.points)


def sweep(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / "manifest.toml").write_text("[grid]\n")
    write_table(folder, rows)
    return folder


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, ["report", *words])


def test_every_dial_that_varies_is_a_facet_and_every_row_is_in_one_point() -> None:
    rows = unlike()
    found = group_rows(rows)
    assert (found.dial, found.facets) == ("group_size", ("attack", "partition"))
    assert [tuple(group.facets.values()) for group in found.groups] == [
        (attack, partition) for attack in ATTACKS for partition in PARTITIONS
    ]
    assert accounted(found) == found.runs == len(rows)
    for group in found.groups:
        like = {(one["attack"], one["partition"]) for point in group.points for one in point.rows}
        assert like == {tuple(group.facets.values())}


def test_means_are_taken_over_seeds_with_students_interval() -> None:
    found = group_rows(by_size())
    assert [point.at for point in found.points] == [1, 5, 30]
    mean = found.points[0].means["attack_success"]
    assert mean.value == pytest.approx(0.02)
    assert mean.half == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert mean.runs == 3
    assert interval([0.4]) == (0.4, None)


def test_a_metric_that_some_runs_lack_is_a_mean_of_the_others_and_says_of_how_many() -> None:
    rows = [row(1), row(2), row(3, attack_success=None)]
    (point,) = group_rows(rows).points
    assert len(point.rows) == 3
    assert point.means["attack_success"].runs == 2
    assert point.means["attack_success"].value == pytest.approx(0.015)
    assert point.means["accuracy"].runs == 3


def test_failed_and_unmeasured_runs_are_counted_and_named() -> None:
    found = group_rows(unlike())
    assert [(r["attack"], r["partition"], r["seed"]) for r in found.failed] == [
        ("flip:4:9", "iid", 2)
    ]
    signs = [group for group in found.groups if group.facets["attack"] == "sign"]
    assert all(group.points[0].means["attack_success"].value is None for group in signs)
    assert all(group.points[0].means["tpr"].runs == 2 for group in signs)
    assert undrawn(found) == []  # they are drawn by the part of the poisoners that was found
    rows = [row(1, attack="none", attack_success=None, tpr=None), row(1)]
    assert undrawn(group_rows(rows)) == ["attack = none, group_size = 5: no attack to measure"]


def test_the_dial_is_the_one_named_or_the_group_size_or_the_first_number_that_varies() -> None:
    rows = [row(1, clients=n, rounds=r) for n in (10, 20) for r in (5, 6)]
    assert group_rows(rows).dial == "clients"
    named = group_rows(rows, "rounds")
    assert (named.dial, named.facets) == ("rounds", ("clients",))
    assert group_rows([*rows, row(1, group_size=3)]).dial == "group_size"
    words = [row(1, partition="iid"), row(1, partition="shards:2")]
    assert group_rows(words).dial == "group_size"  # words have no order to lie along
    assert [point.at for point in group_rows(words, "partition").points] == ["iid", "shards:2"]
    for name in ("seed", "accuracy", "speed"):
        with pytest.raises(ConfigError, match=f"{name} is no dial"):
            group_rows(rows, name)
    with pytest.raises(ConfigError, match="no cells yet"):
        group_rows([])


def test_a_dial_that_is_now_a_number_and_now_nothing_keeps_its_rows() -> None:
    rows = [row(1, colluders=None), row(1, colluders=2), row(1, colluders=10)]
    found = group_rows(rows, "colluders")
    assert {point.at for point in found.points} == {None, 2, 10}
    assert accounted(found) == 3


def test_the_same_run_twice_is_no_second_seed() -> None:
    rows = by_size()
    found = group_rows([*rows, *({**one, "seconds": 9.0} for one in rows)])
    assert (found.runs, found.repeated) == (9, 9)
    assert found.points[0].means["accuracy"].runs == 3
    with pytest.raises(ConfigError, match=r"same dials \(seed 1\) and another accuracy"):
        group_rows([*rows, {**rows[0], "accuracy": 0.1}])


def test_a_cell_that_failed_once_and_finished_elsewhere_is_finished() -> None:
    failed = row(1) | {"reason": "no memory", "accuracy": None}
    for rows in ([failed, row(1)], [row(1), failed]):
        found = group_rows(rows)
        assert (len(found.failed), found.runs, found.repeated) == (0, 1, 1)


def test_a_group_is_a_panel_with_its_facets_for_a_title() -> None:
    drawn = figures(group_rows(unlike()))
    assert set(drawn) == {"updates", "statistics"}
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.attrib["aria-label"].endswith("attack, partition")
        for attack in ATTACKS:
            assert svg.count(f"attack = {attack}") == len(PARTITIONS)
    assert drawn == figures(group_rows(unlike()))
    assert set(figures(group_rows(by_size()))) == {"both"}


def test_facets_that_do_not_all_meet_leave_blanks() -> None:
    rows = [row(1, attack=a, partition=p) for a, p in zip(ATTACKS[:2], PARTITIONS, strict=True)]
    for svg in figures(group_rows(rows)).values():
        assert svg.count("partition = iid") == 1
        assert svg.count("nothing to draw") == 0


def test_the_page_stands_alone_and_holds_every_number(tmp_path: Path) -> None:
    rows = [*by_size(), row(9, group_size=1) | {"reason": "it <broke>"}]
    out = tmp_path / "page.html"
    write_tradeoff([sweep(tmp_path / "sweep", rows)], None, out)
    page = out.read_text()
    assert not re.search(r'(src|href)="(?!#)', page)
    assert page.count("<svg") == 1
    assert "0.020 ± 0.025" in page
    assert "Cells that failed: 1" in page
    assert "it &lt;broke&gt;" in page
    assert (tmp_path / "page.svg").read_text().startswith("<?xml")


def test_the_command_prints_the_same_groups_as_the_page(tmp_path: Path) -> None:
    folder, out = sweep(tmp_path / "sweep", unlike()), tmp_path / "page.html"
    result = invoke(str(folder), "--out", str(out), "--format", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["facets"] == ["attack", "partition"]
    assert told["runs"] == 12
    assert [failed["reason"] for failed in told["failed"]] == ["it <broke>"]
    page = out.read_text()
    for group in told["groups"]:
        assert ", ".join(f"{k} = {v}" for k, v in group["facets"].items()) in page
    points = [point for group in told["groups"] for point in group["points"]]
    assert sum(point["runs"] + point["failed"] for point in points) == 12
    assert page.count("<svg") == 2
    assert (tmp_path / "page-updates.svg").exists()
    text = invoke(str(folder), "--out", str(out))
    assert "12 runs, 6 points along group_size in 6 groups by attack, partition, 1 runs" in (
        text.stdout
    )
    assert invoke(str(tmp_path)).exit_code == 4
    assert invoke(str(folder), str(tmp_path)).exit_code == 2


def test_a_folder_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auror.experiments.progress.HEARTBEAT_SECONDS", 1e-6)
    done = CliRunner().invoke(main, ["report", str(tmp_path / "typo")])
    assert done.exit_code == 4
    assert done.stderr == f"auror: {tmp_path}/typo is no folder: name that of a run or of a sweep\n"
