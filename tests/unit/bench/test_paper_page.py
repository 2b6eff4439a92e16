"""The page of the paper's claims follows from its rows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from script_kit import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("scripts/paper_table.py")


ROWS = """dataset,attack,malicious_share,under,rounds,seed,accuracy,attack_success,\
accuracy_without_attack,tpr,fpr,reason
gtsrb,flip:1:2,0.3,nothing,40,9200,0.8,0.5,0.85,,,
gtsrb,flip:1:2,0.3,nothing,40,9201,0.7,0.7,0.87,,,
gtsrb,flip:1:2,0.3,auror on sums,40,9200,0.84,0.02,,1.0,0.0,
"""


def test_means_stand_in_their_columns_and_missing_ones_are_dashes(
    script: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS.replace("\\\n", ""))
    made = script.page(script.read_rows(path))
    assert "## Traffic signs" in made
    assert "40 rounds, seeds 9200 to 9201" in made
    line = next(line for line in made.splitlines() if line.startswith("| 30 → 50 km/h"))
    assert line == (
        "| 30 → 50 km/h | 30% | .860 | .750 | .600 | .840 | .020 [1] | 1.000 / .000"
        " | – | – | – / – |"
    )


def test_the_committed_page_is_that_of_the_committed_rows(script: ModuleType) -> None:
    made = script.page(script.read_rows(script.ROWS))
    assert script.PAGE.read_text(encoding="utf-8") == made
