"""Every committed table of the defence follows from the committed rows beside it."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import pytest

from auror.bench.defence import SECTIONS, BenchReport, as_markdown
from auror.bench.defence.rows import Row

PAGES = Path(__file__).parents[3] / "docs" / "results" / "defence"


def value(text: str) -> object:
    """A cell as it was before it was written."""
    if text in {"", "True", "False"}:
        return {"": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return json.loads(text) if text.startswith("[") else text


def rows(section: str) -> list[Row]:
    with (PAGES / f"{section}.csv").open(newline="", encoding="utf-8") as file:
        found = [{name: value(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    for row in found:
        if row["seed"] is None:  # drawn from no training
            del row["seed"]
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_a_table_is_that_of_its_rows(section: str) -> None:
    found = rows(section)
    fold = getattr(importlib.import_module(f"auror.bench.defence.{section}"), "summarise", None)
    table = found if fold is None else fold(found)
    report = BenchReport((0,), False, {section: found}, {section: table}, {section: 0.0})
    made = as_markdown(report, section)
    assert (PAGES / f"{section}.md").read_text(encoding="utf-8") == made
