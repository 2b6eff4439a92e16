"""What pages written by hand say of a table is what its rows say."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

import pytest
from _tree import ROOT

Row = Mapping[str, str]

RESULTS = ROOT / "docs" / "results"
_ACCEPTANCE = {
    "all honest": "clean",
    "attacked, undefended": "undefended",
    "honest clients alone": "oracle",
    "attacked, AUROR on group sums (restart)": "defended",
}
_SPLITS = {
    "equally dealt": "iid",
    "Dirichlet 1.0": "dirichlet:1.0",
    "Dirichlet 0.5": "dirichlet:0.5",
    "two shards a client": "shards:2",
}
_SKEW_COLUMNS = (
    ("decoded", "10", "1"), ("decoded", "10", "3"), ("decoded", "10", "5"),
    ("decoded", "0", "5"), ("published", "", "1"),
)  # fmt: skip


def table(page: Path, head: str) -> list[list[str]]:
    """The cells of the lines below the one that begins with ``head``, without emphasis."""
    lines = page.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(head)) + 2
    found = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("*") for cell in line.strip("|").split("|")])
    return found


def rows(section: str) -> list[dict[str, str]]:
    with (RESULTS / "defence" / f"{section}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rate(values: list[str]) -> float | None:
    known = [float(value) for value in values if value]
    return fmean(known) if known else None


def differs(said: str, value: float | None) -> bool:
    """Whether ``said`` (.014, 0, 1.00, –) is ``value`` rounded to as many places."""
    if value is None or said == "–":
        return not (value is None and said == "–")
    places = len(said.partition(".")[2]) or 3
    return abs(float(said) - value) > 0.5 * 10**-places + 1e-9


def wrong(said: str, where: Callable[[Row], bool], found: list[dict[str, str]]) -> str | None:
    """What the rows say in place of ``said``, TPR / FPR; None: that, or nothing is said."""
    if not said:
        return None
    mine = [row for row in found if where(row)]
    rates = [rate([row[name] for row in mine]) for name in ("tpr", "fpr")]
    parts = said.split(" / ")
    return f"{said}: {rates}" if any(map(differs, parts, rates)) else None


@pytest.mark.parametrize(
    ("said", "value", "other"),
    [
        (".014", 0.01428, False), (".010", 0.01428, True), ("0", 0.0, False),
        ("0", 0.001, True), ("1.00", 0.995, False), ("–", None, False), ("–", 0.0, True),
    ],
)  # fmt: skip
def test_a_rounded_number_is_told_from_another(said: str, value: float, other: bool) -> None:
    assert differs(said, value) == other


def test_the_summary_of_whole_trainings_is_that_of_its_rows() -> None:
    found = json.loads((RESULTS / "acceptance.json").read_text(encoding="utf-8"))
    mine = [row for row in found if row["case"] == "restart"]
    for name, *cells in table(RESULTS / "README.md", "| mean of seeds"):
        case = _ACCEPTANCE[name]
        means = [
            f"{fmean(row[case][key] for row in mine):.1%}".replace("%", " %")
            for key in ("accuracy", "source_recall", "attack_success")
        ]
        assert cells == means, name


def test_the_table_of_label_skew_is_that_of_its_rows() -> None:
    found, bad, split = rows("noniid"), [], ""
    for name, liars, *cells in table(RESULTS / "defence" / "fresh-seeds.md", "| | lie | g = 1"):
        split = name or split
        for said, (detector, clean, size) in zip(cells, _SKEW_COLUMNS, strict=True):
            asked = {
                "partition": _SPLITS[split], "malicious": liars, "detector": detector,
                "clean_per_class": clean, "group_size": size,
                "rounds": "10" if detector == "published" else "40",
            }  # fmt: skip
            bad.append(wrong(said, lambda row, a=asked: a.items() <= row.items(), found))
    assert not list(filter(None, bad))


def test_the_table_of_equal_data_is_that_of_its_rows() -> None:
    found, bad = rows("detection"), []
    columns = (("3", "20"), ("5", "20"), ("10", "40"), ("15", "60"))
    for name, *cells in table(RESULTS / "defence" / "fresh-seeds.md", "| 30 clients, MNIST"):
        for said, (size, rounds) in zip(cells, columns, strict=True):
            asked = {
                "dataset": "mnist5k", "clients": "30", "malicious": name.partition(" ")[0],
                "group_size": size, "rounds": rounds,
            }  # fmt: skip
            bad.append(wrong(said, lambda row, a=asked: a.items() <= row.items(), found))
    assert not list(filter(None, bad))


def test_the_goal_that_is_missed_is_said_with_its_numbers() -> None:
    text = (ROOT / "docs" / "defence.md").read_text(encoding="utf-8")
    said = re.search(r"(\.\d+) found at FPR (\.\d+), mean .*?; (\.\d+) at (\.\d+)\s", text, re.S)
    assert said
    for rounds, tpr, fpr in (("20", *said.group(1, 2)), ("40", *said.group(3, 4))):
        asked = {
            "partition": "dirichlet:1.0", "malicious": "9", "detector": "decoded",
            "clean_per_class": "10", "group_size": "5", "rounds": rounds,
        }  # fmt: skip
        assert not wrong(
            f"{tpr} / {fpr}", lambda row, a=asked: a.items() <= row.items(), rows("noniid")
        )
